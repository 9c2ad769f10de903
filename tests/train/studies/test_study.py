"""Studies: definition, validation, folders, merging, and diverged runs."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers.studies import STUDY, study_file
from tests.helpers.training import ROOT
from train.studies.folder import check_results, open_folder
from train.studies.loading import list_study_files, load_study, parse_seeds
from train.studies.result import Result, read_results, result_path, write_result
from train.studies.results_file import write_results_file
from train.studies.runs import plan_runs, try_lock
from train.study import main, run_study
from train.utils.json_files import read_json, write_json


def test_seeds_are_interleaved(tmp_path):
  study = load_study(str(study_file(tmp_path)))
  runs = plan_runs(tmp_path, study.variants, study.seeds)
  assert [str(run) for run in runs] == ["max, seed 0", "ppool, seed 0", "max, seed 1", "ppool, seed 1"]
  assert runs[1].workdir == tmp_path / "runs" / "ppool" / "seed-0"
  assert [study.baseline_name(variant) for variant in study.variants] == [None, "max"]


def test_the_seed_and_the_overrides_reach_the_config(tmp_path):
  study = load_study(f"{study_file(tmp_path)}:rate=0.5")
  first, second = (study.resolve_config(variant, 7) for variant in study.variants)
  assert (first.seed, second.seed, first.schedule.learning_rate, second.schedule.learning_rate) == (
    7,
    7,
    3e-3,
    0.5,
  )
  assert second.alpha.name == "channel"


def test_parse_seeds():
  assert parse_seeds("0-3,100") == [0, 1, 2, 3, 100]
  for text, message in (("0,0-1", "got 0 twice"), ("a", "expected numbers"), ("3-1", "from low to high")):
    with pytest.raises(ValueError, match=f"--seeds: .*{message}"):
      parse_seeds(text)


@pytest.mark.parametrize("path", list_study_files(), ids=lambda path: path.stem)
def test_shipped_studies_build(path):
  """Each study documents its command, has a baseline for every variant, and builds its configs."""
  text = path.read_text()
  assert f"--study=configs/studies/{path.name}" in text
  study = load_study(str(path))
  runlocal = load_study(f"{path}:runlocal")
  assert [variant.name for variant in study.variants] == [variant.name for variant in runlocal.variants]
  for variant in study.variants:
    assert study.resolve_config(variant, 3).seed == 3
  assert {study.baseline_name(variant) for variant in study.variants} - {None} <= {
    variant.name for variant in study.variants
  }
  assert runlocal.resolve_config(runlocal.variants[0], 0).steps <= 20


def test_table_1_compares_with_the_networks_own_pooling():
  study = load_study(f"{ROOT}/configs/studies/table1.py:data=voc")
  assert len(study.variants) == 7 + 6
  baselines = {study.baseline_name(variant) for variant in study.variants if "resnet50" in variant.name}
  assert baselines == {None, "voc-resnet50-strided"}


def test_table_6_replaces_one_stage_at_a_time():
  study = load_study(f"{ROOT}/configs/studies/table6.py")
  stages = [study.resolve_config(variant, 0).pool_stages for variant in study.variants]
  assert stages == [(), ("pool1",), ("pool2",), ("pool3",), ("pool4",), ("pool5",), ()]
  assert all(study.resolve_config(variant, 0).pool_rest == "published" for variant in study.variants[1:-1])


def refused(capsys, *words):
  with pytest.raises(SystemExit) as ended:
    main(list(words))
  text = str(ended.value)
  assert text.startswith("error: ")
  assert "\n" not in text
  return text


def test_invalid_studies_give_one_line_errors(tmp_path, capsys):
  def study(old, new):
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    return f"--study={study_file(folder, STUDY.replace(old, new))}"

  out = f"--workdir={tmp_path / 'out'}"
  assert "'max' twice" in refused(capsys, study('"ppool"', '"max"'), out)
  assert "got 1 twice" in refused(capsys, study("range(args.seeds)", "[0, 1, 1]"), out)
  assert "did you mean 'max'" in refused(capsys, study('"max", range', '"mx", range'), out)
  assert "folder's name, got 'a/b'" in refused(capsys, study('"ppool"', '"a/b"'), out)
  assert "raised NameError" in refused(capsys, study("OVERRIDES = ", "nothing\nOVERRIDES = "), out)
  assert "no function get_study" in refused(capsys, study("get_study", "study"), out)
  assert "no such" in refused(capsys, "--study=none.py", out) or "none.py" in refused(
    capsys, "--study=none.py", out
  )
  good = f"--study={study_file(tmp_path / 'good')}"
  assert "unknown variant 'ppol': did you mean 'ppool'?" in refused(capsys, good, out, "--only", "ppol")
  assert "--index: expected 0 to 3, got 4" in refused(capsys, good, out, "--index=4")
  assert "got 2 twice" in refused(capsys, good, out, "--seeds=2,2")
  assert not (tmp_path / "out").exists()


def test_folder_of_another_study_is_refused(tmp_path, capsys):
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  run_study(str(good), out, mode="list")
  assert not out.exists()  # a look changes nothing
  run_study(str(good), out, mode="report")
  assert "belongs to the study 'tiny', not to 'other'" in refused(
    capsys, f"--study={good}:name=other", f"--workdir={out}"
  )
  (tmp_path / "full").mkdir()
  (tmp_path / "full" / "file").touch()
  assert "has other files" in refused(capsys, f"--study={good}", f"--workdir={tmp_path / 'full'}")
  assert (tmp_path / "full" / "file").exists()


def test_result_of_another_config_is_refused(tmp_path, capsys):
  """An edited study file does not mix two experiments under one name."""
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  study = load_study(str(good))
  config = study.resolve_config(study.variants[1], 0).to_dict()
  result = Result("ppool", 0, "finished", 6, {"miou": 0.5}, 1.0, json.loads(json.dumps(config)), {})
  write_result(result_path(out, "ppool", 0), result)
  (out / "study.json").write_text('{"study": "tiny"}')
  run_study(str(good), out, mode="list")
  text = refused(capsys, f"--study={good}:rate=1.0", f"--workdir={out}")
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


def test_diverged_run_is_a_result(tmp_path, capsys):
  """The study continues, and the report gives the step of divergence, as for All-C in the paper's Table 1."""
  out = tmp_path / "out"
  run_study(f"{study_file(tmp_path)}:rate=1e30,seeds=1", out)
  diverged, finished = sorted(read_results(out), key=lambda result: result.status)
  assert (diverged.variant, diverged.status, finished.variant) == ("ppool", "diverged", "max")
  assert 1 <= diverged.step <= 6
  assert f"diverged, step {diverged.step}" in (out / "report.md").read_text()
  assert (out / "runs" / "ppool" / "seed-0" / "failure_dumps").is_dir()
  assert read_json(out / "results.json")["study"] == "tiny"


def test_merging_another_study_is_refused(tmp_path, capsys):
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  (tmp_path / "other.json").write_text('{"study": "other", "configs": {}, "results": []}')
  text = refused(
    capsys, f"--study={good}", f"--workdir={out}", "--report", "--merge", str(tmp_path / "other.json")
  )
  assert "expected results of the study 'tiny', got those of 'other'" in text


def result(study, name="ppool", seed=0, **changes):
  config = json.loads(
    json.dumps(study.resolve_config(next(v for v in study.variants if v.name == name), seed).to_dict())
  )
  config["model"]["weights"] = changes.pop("weights", "")
  found = Result(name, seed, "finished", 6, {"miou": 0.5, "boundary_ratio": 0.02}, 1.0, config, {})
  return found._replace(**changes)


def test_merging_another_config_copies_nothing(tmp_path, capsys):
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  study, other = load_study(str(good)), load_study(f"{good}:rate=0.5")
  write_results_file("tiny", [result(study, "max"), result(other)], tmp_path / "other.json")
  words = (f"--study={good}", f"--workdir={out}", "--merge", str(tmp_path / "other.json"))
  assert "another config (schedule.learning_rate was 0.5, now 0.003)" in refused(capsys, *words)
  assert read_results(out) == []
  write_results_file("tiny", [result(study)._replace(variant="../../evil")], tmp_path / "other.json")
  assert "unknown variant '../../evil'" in refused(capsys, *words)
  write_results_file("tiny", [result(study, "max"), result(study)], tmp_path / "other.json")
  main([*words, str(tmp_path / "other.json")])  # given twice, taken once
  assert "2 results merged" in capsys.readouterr().out
  assert [found.variant for found in read_results(out)] == ["max", "ppool"]


def test_results_with_other_weights_or_boundary_are_refused(tmp_path):
  study = load_study(str(study_file(tmp_path)))
  check_results(study, [result(study)])
  with pytest.raises(ValueError, match=r"model.weights was 'imagenet.h5', now ''"):
    check_results(study, [result(study, weights="/some/imagenet.h5")])
  with pytest.raises(ValueError, match=r"a band of 0.3, the study's is 0.02"):
    check_results(study, [result(study, scores={"boundary_ratio": 0.3})])


def test_interrupted_run_of_another_config_is_refused(tmp_path, capsys):
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  workdir = out / "runs" / "ppool" / "seed-1"
  workdir.mkdir(parents=True)
  study = load_study(f"{good}:rate=0.5")
  (workdir / "config.json").write_text(json.dumps(study.resolve_config(study.variants[1], 1).to_dict()))
  (out / "study.json").write_text('{"study": "tiny"}')
  text = refused(capsys, f"--study={good}", f"--workdir={out}")
  assert "'ppool', seed 1: the run in this folder has another config" in text
  assert "delete runs/ppool" in text


def test_failed_variant_does_not_stop_the_others(tmp_path, capsys):
  text = STUDY.replace("more, title", '{{**more, "model.weights": "/none.h5"}}, title')
  out = tmp_path / "out"
  words = [f"--study={study_file(tmp_path, text)}:seeds=1", f"--workdir={out}"]
  with pytest.raises(
    SystemExit, match=r"1 runs could not be trained:\n  ppool, seed 0: network: expected one of"
  ):
    main(words)
  assert [found.variant for found in read_results(out)] == ["max"]
  assert "1 of 2 runs are done" in (out / "report.md").read_text()


def test_study_of_two_data_sets_has_two_reports(tmp_path):
  text = STUDY.replace(
    'quickstart.get_config("pool=ppool,alpha=channel,runlocal"), more, title="P-pooling"',
    'camvid_vgg16.get_config("pool=avg"), baseline="ppool"',
  ).replace("from configs import quickstart", "from configs import camvid_vgg16, quickstart")
  study, out = load_study(str(study_file(tmp_path, text))), tmp_path / "out"
  write_result(result_path(out, "max", 0), result(study, "max"))
  write_result(result_path(out, "ppool", 0), result(study))
  (out / "study.json").write_text('{"study": "tiny"}')
  run_study(str(tmp_path / "tiny_study.py"), out, mode="report")
  overview = (out / "report.md").read_text()
  assert overview.index("## scenes") < overview.index("| max |") < overview.index("## camvid")
  assert "[Figure, classes and notes](camvid/report.md)" in overview
  assert "ppool" not in (out / "scenes" / "report.md").read_text()


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


def test_report_of_some_seeds_has_a_remark(tmp_path):
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  study = load_study(str(good))
  for name in ("max", "ppool"):
    for seed in (0, 1):
      write_result(result_path(out, name, seed), result(study, name, seed))
  (out / "study.json").write_text('{"study": "tiny"}')
  run_study(str(good), out, mode="report")
  assert "All 4 runs are done." in (out / "report.md").read_text()
  run_study(str(good), out, seeds="1", out=tmp_path / "some", mode="report")
  text = (tmp_path / "some" / "report.md").read_text()
  assert "A selection of the study: the seeds 1." in text
  assert "All 2 runs are done." in text
  assert "All 4 runs are done." in (out / "report.md").read_text()
  run_study(str(good), out, only=["ppool"], out=tmp_path / "some", mode="report")
  assert "the variants max, ppool" in (tmp_path / "some" / "report.md").read_text()  # with its baseline


@pytest.mark.parametrize(
  ("old", "new", "message"),
  [
    ("return Study(", "return list, (", "expected get_study to return a Study"),
    ("range(args.seeds)", "[-1]", "expected integers from 0, got -1"),
    ("range(args.seeds)", "['0']", "expected integers from 0, got '0'"),
    ("range(args.seeds)", "[]", "expected at least one seed"),
    ("more, title", '{{"seed": 7}}, title', "expected no override of seed"),
    ('quickstart.get_config("pool=max,runlocal")', '"configs/quickstart.py"', "got a str"),
    ("more, title", '{{"scedule.rate": 1}}, title', "variant 'ppool': .*did you mean 'schedule'"),
  ],
)
def test_invalid_study_files_are_refused(tmp_path, old, new, message, capsys):
  assert old in STUDY
  path = study_file(tmp_path, STUDY.replace(old, new))
  with pytest.raises(SystemExit, match=message):
    main([f"--study={path}", f"--workdir={tmp_path / 'out'}"])
  assert not (tmp_path / "out").exists()


def test_incompatible_flags_are_refused(tmp_path, capsys):
  for words in (["--list", "--index=1"], ["--dry-run", "--merge", "x"], ["--out", "x"]):
    with pytest.raises(SystemExit) as ended:
      main([f"--study={study_file(tmp_path)}", f"--workdir={tmp_path / 'out'}", *words])
    assert ended.value.code == 2
    assert "goes" in capsys.readouterr().err
