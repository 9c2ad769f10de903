"""Tests docs/THEORY.md: the tests that it names, its formulas and its links."""

import re

from matplotlib.mathtext import MathTextParser

from tests.helpers.theory import PAGE, ROOT


def test_named_tests_exist():
  """Every test that the page names exists, and the page names every test here that checks a statement."""
  found = re.findall(r"`(tests/\w+/\w+\.py)::(test_\w+)`", PAGE)
  assert len(set(found)) >= 20
  assert PAGE.count("`tests/") == len(found)
  for file, test in found:
    assert f"\ndef {test}(" in (ROOT / file).read_text(), f"{file} has no {test}"
  files = sorted((ROOT / "tests" / "theory").glob("test_theory_*.py"))
  files = [path for path in files if path.stem != "test_theory_page"]
  assert len(files) == 5
  here = {
    (str(path.relative_to(ROOT)), test)
    for path in files
    for test in re.findall(r"\ndef (test_\w+)\(", path.read_text())
  }
  assert here == {(file, test) for file, test in found if file.startswith("tests/theory/")}


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
