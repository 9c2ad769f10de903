"""Trainings with rejected steps: stop, skip and roll back; interrupted runs end with the same bits."""

import json

import numpy as np
import pytest

from tests.helpers.sweeps import sweep
from tests.helpers.training import tiny_config
from train.checkpointing.digests import params_sha256
from train.experiment.run import open_run
from train.loop import loop, setup
from train.loop.loop import train
from train.loop.metric_writer import read_metrics
from train.loop.rollback import Rollback, RollbackLog
from train.step.update_guard import TrainingDiverged

pytestmark = pytest.mark.filterwarnings("ignore:.*donated buffers.*")
# A batch is [8, 32, 48]; 64 examples: no batch of the first eight comes twice.
TINY = {"data__options__train": 64, "data__options__val": 2, "log__every": 1, "checkpoint__every": 1}
load_batches = setup.training_batches


class Killed(Exception):
  """Stands for the end of the process."""


@pytest.fixture
def stream(monkeypatch):
  """`stream(spoil, order)`: batches changed by `spoil(index, batch)`, taken in another order."""

  def install(spoil=lambda index, batch: batch, order=range(10**6)):
    def batches(*args, start, stop, **options):
      for index in map(order.__getitem__, range(start, stop)):
        yield spoil(index, *load_batches(*args, start=index, stop=index + 1, **options))

    monkeypatch.setattr(setup, "training_batches", batches)

  return install


def label_out_of_range(*indices):
  """Such a label makes the loss NaN."""

  def spoil(index, batch):
    return {**batch, "label": np.full_like(batch["label"], 77)} if index in indices else batch

  return spoil


def killed_at(index, spoil):
  """As `spoil`, but the process ends when batch `index` is loaded for the first time."""
  left = [index]

  def spoiled(index, batch):
    if index in left:
      left.remove(index)
      raise Killed
    return spoil(index, batch)

  return spoiled


def failure_dump(workdir, name):
  def not_json(word):
    raise AssertionError(f"{word} is not JSON")

  folder = workdir / "failure_dumps" / name
  report = json.loads((folder / "report.json").read_text(), parse_constant=not_json)
  with np.load(folder / "batch.npz") as batch:
    return report, dict(batch)


def test_stop_keeps_the_state_before_the_rejected_step(stream, tmp_path):
  config = tiny_config(**TINY)
  stream(label_out_of_range(3))
  says = r"step 4: loss is nan; first non-finite: loss; dump: .*/4-batch-3\. Continue with --change"
  with pytest.raises(TrainingDiverged, match=says):
    train(config, tmp_path)
  report, batch = failure_dump(tmp_path, "4-batch-3")
  assert batch["image"].shape == (8, 32, 48, 3)
  assert np.all(batch["label"] == 77)
  assert report["first_non_finite"] == {"kind": "loss", "layer": None}
  assert [line["step"] for line in report["history"]] == [1, 2, 3]
  assert report["metrics"]["loss"] == "nan"
  assert report["examined_with_state_after"] == 3
  run = open_run(tmp_path)
  assert run.step == 3, "the state of before, and nothing later, is kept"
  assert report["params_sha256"] == params_sha256(run.variables["params"])
  layers = [layer for layer, _, _ in report["findings"]["layers"]]
  assert layers.index("backbone/conv1_1") < layers.index("backbone/pool1") < layers.index("head/classifier")
  with pytest.raises(TrainingDiverged, match="step 4: loss is nan"):
    train(config, tmp_path)
  # What the message advises.
  config.guard.action, config.guard.loss_spike_factor, config.schedule.learning_rate = "skip", 9.0, 1e-4
  with pytest.raises(ValueError, match=r"another config \(guard.action was 'stop', now 'skip'; .*--change"):
    train(config, tmp_path)
  assert train(config, tmp_path, change=True)["skipped"] == 1
  (changed,) = json.loads((tmp_path / "changes.json").read_text())
  assert changed["step"] == 3
  assert "guard.action was 'stop', now 'skip'" in changed["changes"]


@pytest.mark.parametrize("parallel", ["pmap", sweep("jit")])
def test_skip_leaves_the_state_unchanged(stream, tmp_path, parallel):
  """Only the step number changes; an interrupted run ends with the same bits."""
  config = tiny_config(**TINY, guard__action="skip", parallel=parallel, checkpoint__max_to_keep=9)
  spoil = label_out_of_range(3)
  stream(spoil)
  summary = train(config, tmp_path / "whole")
  assert summary["skipped"] == 1
  assert summary["step"] == 6
  lines = read_metrics(tmp_path / "whole")
  assert [line["step"] for line in lines if "learning_rate" in line] == [1, 2, 3, 4, 5, 6]
  assert [line["step"] for line in lines if "skipped" in line] == [4]
  assert "loss" not in lines[3]
  assert failure_dump(tmp_path / "whole", "4-batch-3")[0]["reason"] == "loss is nan"
  kept = [params_sha256(open_run(tmp_path / "whole", step).variables["params"]) for step in (2, 3, 4, 5)]
  assert kept[1] == kept[2]
  assert len(set(kept)) == 3
  stream(killed_at(5, spoil))
  with pytest.raises(Killed):
    train(config, tmp_path / "killed")
  again = train(config, tmp_path / "killed")
  assert again["params_sha256"] == summary["params_sha256"]
  assert again["skipped"] == 1


def test_rollback_leaves_out_the_rejected_batch(stream, tmp_path, monkeypatch):
  """If batch 3 is bad and one step is undone, the run equals one of the batches 0 1 4 5 6 7."""
  config = tiny_config(**TINY, guard__action="rollback", guard__rollback_steps=1)
  stream(order=[0, 1, 4, 5, 6, 7])
  expected = train(config, tmp_path / "expected")
  spoil = label_out_of_range(3)
  stream(spoil)
  setups = []
  with monkeypatch.context() as patch:
    patch.setattr(loop, "build_setup", lambda config: setups.append(config) or setup.build_setup(config))
    summary = train(config, tmp_path / "whole")
  assert len(setups) == 1, "a rollback compiles nothing again"
  assert summary["params_sha256"] == expected["params_sha256"]
  assert summary["miou"] == expected["miou"]
  assert (summary["rollbacks"], expected["rollbacks"]) == (1, 0)
  assert RollbackLog(tmp_path / "whole")._rollbacks == [Rollback(step=4, batch=3, resume_step=2, done=True)]
  assert [line["step"] for line in read_metrics(tmp_path / "whole") if "loss" in line] == [1, 2, 3, 4, 5, 6]
  for index in (2, 5):
    stream(killed_at(index, spoil))
    workdir = tmp_path / str(index)
    with pytest.raises(Killed):
      train(config, workdir)
    assert train(config, workdir)["params_sha256"] == expected["params_sha256"]


def test_undone_checkpoints_are_not_restored_after_a_kill(stream, tmp_path, monkeypatch):
  """The process is killed after the rollback was recorded and before the checkpoints were deleted."""
  config = tiny_config(**TINY, guard__action="rollback", guard__rollback_steps=2)
  stream(label_out_of_range(3))
  with monkeypatch.context() as patch:
    patch.setattr(RollbackLog, "delete_undone", killed_once(RollbackLog.delete_undone))
    with pytest.raises(Killed):
      train(config, tmp_path / "killed")
  assert max(int(path.name) for path in (tmp_path / "killed/checkpoints").glob("[0-9]")) == 3
  summary = train(config, tmp_path / "killed")
  stream(order=[0, 4, 5, 6, 7, 8])
  assert train(config, tmp_path / "expected")["params_sha256"] == summary["params_sha256"]


def killed_once(finish):
  def ends(self, folders):
    if len(self):
      raise Killed
    finish(self, folders)

  return ends


def test_more_than_max_rejected_rollbacks_stop_the_run(stream, tmp_path):
  config = tiny_config(**TINY, guard__action="rollback", guard__rollback_steps=1, guard__max_rejected=2)
  stream(label_out_of_range(3, 4))
  summary = train(config, tmp_path / "two")
  stream(order=[0, 5, 6, 7, 8, 9])
  assert summary["params_sha256"] == train(config, tmp_path / "expected")["params_sha256"]
  stream(label_out_of_range(*range(3, 20)))
  with pytest.raises(
    TrainingDiverged, match=r"step 2: loss is nan.* More than guard.max_rejected=2 such steps"
  ):
    train(config, tmp_path / "limit")


def test_a_spike_is_rejected(stream, tmp_path):
  """With the sum over pixels, a batch with twice the labeled pixels has twice the loss."""

  def spoil(index, batch):
    label = batch["label"].copy()
    label[:, :16] = label[:, :16] if index == 3 else 255
    return {**batch, "label": label}

  stream(spoil)
  changes = {"loss__normalize": "image", "schedule__learning_rate": 1e-6, "guard__window": 2}
  for name, metric, limit in (
    ("loss_spike_factor", "loss", 1.5),
    ("gradient_spike_factor", "gradient_norm", 1.1),
  ):
    config = tiny_config(**TINY, **changes, **{f"guard__{name}": limit})
    says = rf"step 4: {metric} is [\d.]+, [12]\.\d+ times the median of the last 2; every layer is finite"
    with pytest.raises(TrainingDiverged, match=says):
      train(config, tmp_path / name)
    assert open_run(tmp_path / name).step == 3
