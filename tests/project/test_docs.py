"""Pages of docs: every file, test and study that they name exists, and their study builds."""

import re

import pytest

from tests.helpers.training import ROOT
from train.studies.loading import list_study_files, load_study
from train.study import run_study

PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page):
  text = (ROOT / "docs" / page).read_text()
  code = re.findall(r"`([^`\n]+)`", text)
  for name in code:
    assert not re.match(r"test_\w+\.py", name), f"{name}: expected its path from the root"
    if match := re.fullmatch(r"(tests/[\w/]+\.py)(?:::(\w+))?", name):
      tests = (ROOT / match[1]).read_text()
      assert not match[2] or f"def {match[2]}(" in tests, name
    elif re.fullmatch(r"(ppool_jax|train|configs|docs|benchmarks)/[\w/.]+", name):
      assert (ROOT / name).exists(), name
    for study in re.findall(r"--study=(configs/studies/\w+\.py)", name):
      assert (ROOT / study).is_file(), name
  for link in re.findall(r"\]\(([\w./]+)(?:#[\w-]+)?\)", text):
    assert (ROOT / "docs" / link).exists(), link


def test_every_shipped_study_is_documented():
  text = (ROOT / "docs" / "PAPER.md").read_text() + (ROOT / "docs" / "STUDIES.md").read_text()
  assert all(path.stem in text for path in list_study_files())


def test_the_study_of_the_page_is_one(tmp_path):
  (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "STUDIES.md").read_text(), re.DOTALL)
  (tmp_path / "own_study.py").write_text(block)
  study = load_study(str(tmp_path / "own_study.py"))
  assert [study.baseline_name(variant) for variant in study.variants] == [None, "max", "max"]
  initials = [study.resolve_config(variant, 0).alpha.get("initial") for variant in study.variants]
  assert initials == [None, 3.0, 1.0]


@pytest.mark.parametrize("path", list_study_files(), ids=lambda path: path.stem)
def test_dry_runs(path, tmp_path, capsys):
  """Every variant's network and parameter groups build, with what is missing here; nothing is written."""
  arg = ":data=voc" if path.stem == "table1" else ""
  run_study(f"{path}{arg}", tmp_path / "out", mode="dry-run")
  shown = capsys.readouterr().out
  assert not (tmp_path / "out").exists()
  assert re.search(r"\d+ runs, \d+ variants with the seeds 0, 1", shown)
  assert ("not prepared there" in shown) == (path.stem != "scenes")


def test_the_array_of_the_page_has_all_runs():
  text = (ROOT / "docs" / "STUDIES.md").read_text()
  study = load_study(str(ROOT / "configs" / "studies" / "scenes.py"))
  last = len(study.variants) * len(study.seeds) - 1
  assert re.findall(r"--array=0-(\d+)", text) == [str(last)]
