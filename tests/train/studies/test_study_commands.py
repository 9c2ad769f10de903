"""The command train.study: diverged and failed runs, and reports of parts of a study."""

import pytest

from tests.helpers.studies import STUDY, make_result, study_file
from train.studies.loading import load_study
from train.studies.result import read_results, result_path, write_result
from train.study import main, run_study
from train.utils.json_files import read_json


def test_diverged_run_is_a_result(tmp_path):
  """The study continues, and the report gives the step of divergence, as for All-C in the paper's Table 1."""
  out = tmp_path / "out"
  run_study(f"{study_file(tmp_path)}:rate=1e30,seeds=1", out)
  diverged, finished = sorted(read_results(out), key=lambda result: result.status)
  assert (diverged.variant, diverged.status, finished.variant) == ("ppool", "diverged", "max")
  assert 1 <= diverged.step <= 6
  assert f"diverged, step {diverged.step}" in (out / "report.md").read_text()
  assert (out / "runs" / "ppool" / "seed-0" / "failure_dumps").is_dir()
  assert read_json(out / "results.json")["study"] == "tiny"


def test_failed_variant_does_not_stop_the_others(tmp_path):
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
  write_result(result_path(out, "max", 0), make_result(study, "max"))
  write_result(result_path(out, "ppool", 0), make_result(study))
  (out / "study.json").write_text('{"study": "tiny"}')
  run_study(str(tmp_path / "tiny_study.py"), out, mode="report")
  overview = (out / "report.md").read_text()
  assert overview.index("## scenes") < overview.index("| max |") < overview.index("## camvid")
  assert "[Figure, classes and notes](camvid/report.md)" in overview
  assert "ppool" not in (out / "scenes" / "report.md").read_text()


def test_report_of_some_seeds_has_a_remark(tmp_path):
  good, out = study_file(tmp_path / "good"), tmp_path / "out"
  study = load_study(str(good))
  for name in ("max", "ppool"):
    for seed in (0, 1):
      write_result(result_path(out, name, seed), make_result(study, name, seed))
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
