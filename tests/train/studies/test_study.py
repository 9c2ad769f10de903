"""Studies: definition, shipped studies, validation and flags."""

import pytest

from tests.helpers.studies import STUDY, refuse, study_file
from tests.helpers.training import ROOT
from train.studies.loading import list_study_files, load_study, parse_seeds
from train.studies.runs import plan_runs
from train.study import main


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


def test_invalid_studies_give_one_line_errors(tmp_path):
  def study(old, new):
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    return f"--study={study_file(folder, STUDY.replace(old, new))}"

  out = f"--workdir={tmp_path / 'out'}"
  assert "'max' twice" in refuse(study('"ppool"', '"max"'), out)
  assert "got 1 twice" in refuse(study("range(args.seeds)", "[0, 1, 1]"), out)
  assert "did you mean 'max'" in refuse(study('"max", range', '"mx", range'), out)
  assert "folder's name, got 'a/b'" in refuse(study('"ppool"', '"a/b"'), out)
  assert "raised NameError" in refuse(study("OVERRIDES = ", "nothing\nOVERRIDES = "), out)
  assert "no function get_study" in refuse(study("get_study", "study"), out)
  assert "no such" in refuse("--study=none.py", out) or "none.py" in refuse("--study=none.py", out)
  good = f"--study={study_file(tmp_path / 'good')}"
  assert "unknown variant 'ppol': did you mean 'ppool'?" in refuse(good, out, "--only", "ppol")
  assert "--index: expected 0 to 3, got 4" in refuse(good, out, "--index=4")
  assert "got 2 twice" in refuse(good, out, "--seeds=2,2")
  assert not (tmp_path / "out").exists()


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
def test_invalid_study_files_are_refused(tmp_path, old, new, message):
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
