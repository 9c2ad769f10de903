"""File of a run's result: a round trip, and invalid files."""

import pathlib

import pytest

from tests.helpers.study_reports import diverged, finished
from train.studies.result import read_result, read_results, result_path, write_result


def test_results_are_read_as_written(tmp_path):
  runs = [finished("ppool", 10, [0.5, 0.2, 0.3, None]), diverged("max", 2, 312)]
  for run in runs:
    write_result(result_path(tmp_path, run.variant, run.seed), run)
  assert read_results(tmp_path) == [runs[1], runs[0]]
  assert read_result(tmp_path / "results" / "ppool" / "seed-10.json") == runs[0]
  assert read_results(tmp_path / "none") == []


def test_invalid_result_files_are_refused(tmp_path):
  run = finished("max", 0, [0.5, 0.2, 0.3, None])
  path = result_path(tmp_path, "max", 0)
  with pytest.raises(ValueError, match="'max', seed 0: expected the status finished or diverged, got 'x'"):
    write_result(path, run._replace(status="x"))
  write_result(path, run)
  moved = pathlib.Path(path.parent, "seed-1.json")
  path.rename(moved)
  with pytest.raises(ValueError, match=r"seed-1\.json: expected its own result, got that of 'max', seed 0"):
    read_results(tmp_path)
  moved.write_text('{"variant": "max"}')
  with pytest.raises(ValueError, match=r"seed-1\.json: expected the fields variant, .*'config' differs"):
    read_results(tmp_path)
