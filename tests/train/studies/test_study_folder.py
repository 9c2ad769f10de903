"""The folder of a study: ownership, changed configs, merging, and several processes."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers.studies import make_result, refuse, study_file
from train.studies.folder import check_results, open_folder
from train.studies.loading import load_study
from train.studies.result import Result, read_results, result_path, write_result
from train.studies.results_file import write_results_file
from train.studies.runs import plan_runs, try_lock
from train.study import main, run_study
from train.utils.json_files import read_json, write_json


def test_folder_of_another_study_is_refused(tmp_path):
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  run_study(str(good), out, mode="list")
  assert not out.exists()  # a look changes nothing
  run_study(str(good), out, mode="report")
  assert "belongs to the study 'tiny', not to 'other'" in refuse(
    f"--study={good}:name=other", f"--workdir={out}"
  )
  (tmp_path / "full").mkdir()
  (tmp_path / "full" / "file").touch()
  assert "has other files" in refuse(f"--study={good}", f"--workdir={tmp_path / 'full'}")
  assert (tmp_path / "full" / "file").exists()


def test_result_of_another_config_is_refused(tmp_path):
  """An edited study file does not mix two experiments under one name."""
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  study = load_study(str(good))
  config = study.resolve_config(study.variants[1], 0).to_dict()
  result = Result("ppool", 0, "finished", 6, {"miou": 0.5}, 1.0, json.loads(json.dumps(config)), {})
  write_result(result_path(out, "ppool", 0), result)
  (out / "study.json").write_text('{"study": "tiny"}')
  run_study(str(good), out, mode="list")
  text = refuse(f"--study={good}:rate=1.0", f"--workdir={out}")
  assert (
    "'ppool', seed 0: the run in this folder has another config (schedule.learning_rate was 0.003, now"
    in text
  )
  assert read_results(out) == [result]


def test_run_locked_by_another_process_is_skipped(tmp_path):
  study = load_study(str(study_file(tmp_path)))
  first, second, *_ = plan_runs(tmp_path, study.variants, study.seeds)
  lock = try_lock(first)
  try:
    assert try_lock(first) is None
    other = try_lock(second)
    assert other is not None
    other.release()
  finally:
    lock.release()


def test_results_with_other_weights_or_boundary_are_refused(tmp_path):
  study = load_study(str(study_file(tmp_path)))
  check_results(study, [make_result(study)])
  with pytest.raises(ValueError, match=r"model.weights was 'imagenet.h5', now ''"):
    check_results(study, [make_result(study, weights="/some/imagenet.h5")])
  with pytest.raises(ValueError, match=r"a band of 0.3, the study's is 0.02"):
    check_results(study, [make_result(study, scores={"boundary_ratio": 0.3})])


def test_interrupted_run_of_another_config_is_refused(tmp_path):
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  workdir = out / "runs" / "ppool" / "seed-1"
  workdir.mkdir(parents=True)
  study = load_study(f"{good}:rate=0.5")
  (workdir / "config.json").write_text(json.dumps(study.resolve_config(study.variants[1], 1).to_dict()))
  (out / "study.json").write_text('{"study": "tiny"}')
  text = refuse(f"--study={good}", f"--workdir={out}")
  assert "'ppool', seed 1: the run in this folder has another config" in text
  assert "delete runs/ppool" in text


def test_merging_another_study_is_refused(tmp_path):
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  (tmp_path / "other.json").write_text('{"study": "other", "configs": {}, "results": []}')
  text = refuse(f"--study={good}", f"--workdir={out}", "--report", "--merge", str(tmp_path / "other.json"))
  assert "expected results of the study 'tiny', got those of 'other'" in text


def test_merging_another_config_copies_nothing(tmp_path, capsys):
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  study, other = load_study(str(good)), load_study(f"{good}:rate=0.5")
  write_results_file("tiny", [make_result(study, "max"), make_result(other)], tmp_path / "other.json")
  words = (f"--study={good}", f"--workdir={out}", "--merge", str(tmp_path / "other.json"))
  assert "another config (schedule.learning_rate was 0.5, now 0.003)" in refuse(*words)
  assert read_results(out) == []
  write_results_file("tiny", [make_result(study)._replace(variant="../../evil")], tmp_path / "other.json")
  assert "unknown variant '../../evil'" in refuse(*words)
  write_results_file("tiny", [make_result(study, "max"), make_result(study)], tmp_path / "other.json")
  main([*words, str(tmp_path / "other.json")])  # given twice, taken once
  assert "2 results merged" in capsys.readouterr().out
  assert [found.variant for found in read_results(out)] == ["max", "ppool"]


def test_many_processes_open_a_folder_at_once(tmp_path):
  """A job array opens one folder at the same time: it is created once, and no process is refused."""
  study = load_study(str(study_file(tmp_path)))
  for turn in range(5):
    with ThreadPoolExecutor(8) as pool:
      list(pool.map(lambda _, turn=turn: open_folder(tmp_path / f"out{turn}", study, []), range(16)))
    assert read_json(tmp_path / f"out{turn}" / "study.json") == {"study": "tiny"}


def test_many_threads_write_one_file(tmp_path):
  content = {"numbers": list(range(2000))}
  with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda _: write_json(tmp_path / "results.json", content), range(40)))
  assert read_json(tmp_path / "results.json") == content
  assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
