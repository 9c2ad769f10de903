"""docs/THEORY.md itself: tests that it names, formulas and links."""

import re

from matplotlib.mathtext import MathTextParser

from tests.helpers.theory import PAGE, ROOT


def test_named_tests_exist():
  """Every test that the page names exists, and the page names every test here that checks a statement."""
  named = set(re.findall(r"`tests/(\w+\.py)::(\w+)`", PAGE))
  assert len(named) >= 20
  assert PAGE.count("tests/test_") == len(re.findall(r"`tests/\w+\.py::test_\w+`", PAGE))
  for file, test in named:
    assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text(), f"{file} has no {test}"
  files = sorted(
    path.name for path in (ROOT / "tests").glob("test_theory_*.py") if path.stem != "test_theory_page"
  )
  assert len(files) == 5
  here = {
    (file, test)
    for file in files
    for test in re.findall(r"\ndef (test_\w+)\(", (ROOT / "tests" / file).read_text())
  }
  assert here == {(file, test) for file, test in named if file in files}


def test_formulas_and_links_are_sound():
  """Every formula parses, none holds an escape that GitHub's Markdown removes, and linked files exist."""
  text = re.sub(r"`[^`]*`", "", PAGE)
  formulas = [a or b for a, b in re.findall(r"\$\$(.+?)\$\$|\$([^$]+)\$", text, re.DOTALL)]
  assert len(formulas) > 100
  for formula in formulas:
    assert not re.search(r"\\[^a-zA-Z]", formula), formula
    MathTextParser("path").parse("$" + formula.replace("\n", " ") + "$")
  for target in re.findall(r"\]\((\w[^)#]*)\)", PAGE):
    assert (ROOT / "docs" / target).is_file(), target
