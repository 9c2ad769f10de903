"""A workdir belongs to one training at a time and to one config; damaged and missing files."""

import json
import shutil
import signal

import pytest

from tests.helpers.training import tiny_config
from train.checkpointing import lock, workdir as workdirs
from train.checkpointing.checkpoint import Checkpoints
from train.checkpointing.lock import lock_workdir
from train.evaluation import predictor
from train.experiment.pooling_config import resolve_pooling
from train.experiment.run import open_run
from train.loop import hooks
from train.loop.loop import train
from train.loop.metric_writer import MetricWriter, read_metrics
from train.loop.setup import validate_ranges
from train.utils.json_files import read_json

pytestmark = pytest.mark.filterwarnings("ignore:.*donated buffers.*")


def config_of(**changes):
  return resolve_pooling(tiny_config("runlocal,pool=ppool", **{"eval__every": 3, **changes}))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """A finished run, and how often a network was built to evaluate it."""
  workdir, built = tmp_path_factory.mktemp("workdir") / "run", []
  with pytest.MonkeyPatch.context() as patch:
    make_classify_fn = predictor.make_classify_fn
    patch.setattr(predictor, "make_classify_fn", lambda *args: built.append(1) or make_classify_fn(*args))
    train(config_of(), workdir)
  return workdir, len(built)


@pytest.fixture
def copy(finished, tmp_path):
  """The finished run again, as if it had been killed before its end."""
  shutil.copytree(finished[0], tmp_path / "run")
  (tmp_path / "run" / "summary.json").unlink()
  return tmp_path / "run"


def sha(workdir):
  return read_json(workdir / "summary.json")["params_sha256"]


def test_evaluations_share_their_programs(finished):
  assert [line["step"] for line in read_metrics(finished[0]) if "eval/miou" in line] == [3, 6]
  assert finished[1] == 1


def test_a_second_training_is_refused(finished, monkeypatch):
  monkeypatch.setattr(lock, "_TIMEOUT", 0.2)
  with lock_workdir(finished[0]), pytest.raises(ValueError, match=r"is being trained by process \d+ on"):
    train(config_of(), finished[0])
  with lock_workdir(finished[0]):
    pass


def test_a_workdir_of_a_failed_start_is_removed(tmp_path):
  with pytest.raises(ZeroDivisionError), lock_workdir(tmp_path / "new"):
    raise ZeroDivisionError
  assert not (tmp_path / "new").exists()


def test_only_runtime_fields_may_change(finished):
  how = config_of(
    parallel="jit", grad_accum_steps=2, log__every=5, data__threads=1, checkpoint__max_to_keep=7
  )
  assert len(workdirs.find_changes(finished[0], how)) == 5
  assert "parallel was 'pmap', now 'jit'" in workdirs.find_changes(finished[0], how)
  what = config_of(seed=1, parallel="jit")
  with pytest.raises(ValueError, match=r"another config \(seed was 0, now 1\): choose another"):
    workdirs.find_changes(finished[0], what)
  assert len(workdirs.find_changes(finished[0], what, change=True)) == 2


def test_a_finished_run_refuses_another_config(finished, copy):
  shutil.copy(finished[0] / "summary.json", copy)
  assert "is finished: step 6" in workdirs.describe_finished(copy, config_of())
  with pytest.raises(ValueError, match=r"another config \(steps was 6, now 8\)"):
    workdirs.describe_finished(copy, config_of(steps=8))
  assert "is finished: step 6" in workdirs.describe_finished(copy, config_of(steps=5), change=True)
  assert workdirs.describe_finished(copy, config_of(steps=8), change=True) == ""
  with pytest.raises(ValueError, match="of another model"):
    train(config_of(steps=8, model__width=0.5), copy, change=True)
  assert "is finished: step 6" in workdirs.describe_finished(copy, config_of()), (
    "what is refused changes nothing"
  )
  assert train(config_of(steps=8), copy, change=True)["step"] == 8
  assert (copy / "summary-6.json").is_file()
  with pytest.raises(ValueError, match=r"steps: expected at least the 8 that .* got 5"):
    train(config_of(steps=5), copy, change=True)


def test_a_run_resumes_from_the_best_checkpoint(finished, copy):
  """If the latest checkpoints are missing; the run ends with the same bits."""
  (best,) = Checkpoints(copy / "best", 1).steps()
  shutil.rmtree(copy / "checkpoints")
  assert open_run(copy).step == open_run(copy, best).step == best
  began = []
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(MetricWriter, "write", lambda self, step, values: began.append(step))
    train(config_of(), copy)
  assert min(began, default=best) >= best
  assert sha(copy) == sha(finished[0])


def test_without_checkpoints_a_run_starts_over_and_keeps_its_log(finished, copy, caplog):
  before = read_metrics(copy)
  for folder in ("checkpoints", "best"):
    shutil.rmtree(copy / folder)
  train(config_of(), copy)
  assert "NO GOOD CHECKPOINT" in caplog.text
  assert "reaches step 6: STARTING OVER; that log is kept as metrics-before-1.jsonl" in caplog.text
  assert [json.loads(line) for line in (copy / "metrics-before-1.jsonl").read_text().splitlines()] == before
  assert sha(copy) == sha(finished[0])


def test_a_best_checkpoint_that_a_kill_prevented_is_saved(finished, copy):
  """The evaluation was logged, but its checkpoint was not written."""
  scores = {line["step"]: line["eval/miou"] for line in read_metrics(copy) if "eval/miou" in line}
  shutil.rmtree(copy / "best")
  for step in Checkpoints(copy / "checkpoints", 3).steps():
    if step > 3:
      shutil.rmtree(copy / "checkpoints" / str(step))
  train(config_of(), copy)
  (best,) = Checkpoints(copy / "best", 1).steps()
  assert scores[best] == max(scores.values())
  assert sha(copy) == sha(finished[0])


def test_a_signal_during_an_evaluation_stops_after_it(copy, monkeypatch):
  for step in Checkpoints(copy / "checkpoints", 3).steps():
    if step > 3:
      shutil.rmtree(copy / "checkpoints" / str(step))
  (copy / "metrics.jsonl").unlink()
  whole = hooks.evaluate

  def interrupted(*args):
    signal.raise_signal(signal.SIGTERM)
    return whole(*args)

  monkeypatch.setattr(hooks, "evaluate", interrupted)
  assert train(config_of(), copy) is None
  assert Checkpoints(copy / "checkpoints", 3).steps() == [3]


def test_a_signal_during_a_later_evaluation_stops_after_it(tmp_path, monkeypatch):
  whole = hooks.evaluate

  def interrupted(*args):
    signal.raise_signal(signal.SIGTERM)
    return whole(*args)

  monkeypatch.setattr(hooks, "evaluate", interrupted)
  assert train(config_of(), tmp_path / "run") is None
  assert max(Checkpoints(tmp_path / "run" / "checkpoints", 3).steps()) == 3
  assert [line["step"] for line in read_metrics(tmp_path / "run") if "eval/miou" in line] == [3]


def test_a_log_that_cannot_be_written_ends_the_run(tmp_path, monkeypatch):
  """The error is raised after a checkpoint was saved."""
  append = MetricWriter._append

  def full(self, line):
    if json.loads(line)["step"] == 2:
      raise OSError("No space left")
    append(self, line)

  monkeypatch.setattr(MetricWriter, "_append", full)
  with pytest.raises(OSError, match="cannot be written: No space left"):
    train(config_of(steps=20), tmp_path)
  assert max(line["step"] for line in read_metrics(tmp_path)) < 8


def test_damaged_log_and_config(copy, caplog):
  lines = (copy / "metrics.jsonl").read_text().splitlines()
  (copy / "metrics.jsonl").write_text("\n".join([lines[0], lines[1][:9], "[1]", "{}", *lines[2:]]))
  assert len(read_metrics(copy)) == len(lines) - 1
  assert "metrics.jsonl: line 2 is damaged and left out" in caplog.text
  (copy / "config.json").write_text("")
  with pytest.raises(ValueError, match=r"config\.json: expected JSON, but it is not"):
    train(config_of(), copy)


@pytest.mark.parametrize(
  ("name", "value"), [("steps", 0), ("checkpoint__max_to_keep", 0), ("log__every", 0), ("eval__every", -1)]
)
def test_numbers_out_of_range_are_refused(name, value):
  with pytest.raises(ValueError, match=rf"{name.replace('__', '.')}: expected at least \d, got {value}"):
    validate_ranges(tiny_config(**{name: value}))


def test_a_workdir_of_an_earlier_version_is_refused_in_one_line(tmp_path):
  (tmp_path / "config.json").write_text(json.dumps({"batch": 16, "steps": 10}))
  with pytest.raises(ValueError, match=r"config\.json has no field batch_size: an earlier version wrote it"):
    open_run(tmp_path)
  with pytest.raises(ValueError, match="choose another --workdir"):
    train(config_of(), tmp_path)
