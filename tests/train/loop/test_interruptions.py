"""The training program as a process: kill -9, SIGTERM, Ctrl-C, bad workdirs."""

import json
import pathlib
import random
import signal
import time

import pytest

from tests.helpers.soak import STEPS, assert_same, command, disturb, steps_logged, wait_for
from tests.helpers.training import program, run
from train.loop.preemption import PreemptionHandler


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("undisturbed") / "run"
  status, output = run(command(workdir))
  assert status == 0, output
  return workdir, json.loads((workdir / "summary.json").read_text()), output


def test_killed_at_random_moments_ends_with_the_same_bits(undisturbed, tmp_path):
  """Five kills: before the first step, in the middle of steps, and while a checkpoint is written."""
  draw = random.Random(0)
  for goal in (0, 4, 12, 21, 33):
    process = program(command(tmp_path))
    wait_for(process, lambda goal=goal: steps_logged(tmp_path) >= goal)
    if goal in (4, 21):
      wait_for(process, lambda: any((tmp_path / "checkpoints").glob("*tmp*")))
    else:
      time.sleep(draw.uniform(0, 0.3))
    assert process.poll() is None, process.communicate()[0]
    process.kill()
    process.communicate()
  status, output = run(command(tmp_path))
  assert status == 0, output
  assert "resuming from step" in output
  assert_same(tmp_path, undisturbed[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_save_before_the_run_ends(undisturbed, tmp_path, number):
  process = program(command(tmp_path, "--config.checkpoint.every=0"))
  wait_for(process, lambda: steps_logged(tmp_path) >= 5)
  process.send_signal(number)
  output, _ = process.communicate(timeout=60)
  assert process.returncode == 0, output
  assert "interrupted: saved at step" in output
  assert not (tmp_path / "summary.json").exists()
  status, output = run(command(tmp_path, "--config.checkpoint.every=0"))
  assert status == 0, output
  assert_same(tmp_path, undisturbed[0])


def test_a_stop_request_stays_when_the_handler_is_entered_again():
  """The request stays when the handler is entered again, and a second signal has its usual effect."""
  usual = signal.getsignal(signal.SIGTERM)
  interruption = PreemptionHandler()
  with interruption:
    assert signal.getsignal(signal.SIGTERM) != usual
    signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == usual
  with interruption:
    assert interruption.stop_requested
    assert signal.getsignal(signal.SIGTERM) == usual
  undisturbed = PreemptionHandler()
  for _ in range(2):
    with undisturbed:
      assert signal.getsignal(signal.SIGTERM) != usual
    assert signal.getsignal(signal.SIGTERM) == usual


def test_interruptions_and_damage_end_with_the_same_bits(undisturbed, tmp_path):
  """A short `make soak`, with a truncated file as the only damage."""
  disturb(tmp_path, 3, seed=1)
  assert_same(tmp_path, undisturbed[0])
  assert list(tmp_path.glob("damaged-checkpoint-*"))


def test_a_finished_run_is_reported(undisturbed):
  workdir, summary, _ = undisturbed
  before = (workdir / "summary.json").read_bytes()
  status, output = run(command(workdir))
  assert status == 0
  assert f"is finished: step {STEPS}, mIoU {summary['miou']:.4f}" in output
  assert (workdir / "summary.json").read_bytes() == before


def test_a_workdir_that_cannot_be_created_is_refused():
  status, output = run(command(pathlib.Path("/proc/nowhere/run")))
  assert status == 1
  assert "error: /proc/nowhere/run cannot be written: it is not there" in output
  assert "Traceback" not in output


def test_a_full_disk_keeps_earlier_checkpoints(undisturbed, tmp_path):
  process = program(command(tmp_path))
  wait_for(process, lambda: (tmp_path / "checkpoints" / "3").is_dir())
  process.kill()
  process.communicate()
  before = sorted(path.name for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit())
  status, output = run(command(tmp_path), largest_file=100_000)
  assert status == 1, output
  assert "could not be written: " in output
  assert "; kept: [" in output
  after = sorted(path.name for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit())
  assert before
  assert set(before) <= set(after)
  status, output = run(command(tmp_path))
  assert status == 0, output
  assert_same(tmp_path, undisturbed[0])


def test_the_evaluate_command(undisturbed):
  workdir, summary, _ = undisturbed
  status, output = run(["train.evaluate", f"--workdir={workdir}"])
  assert status == 0, output
  stored = json.loads((workdir / f"evaluation-val-{STEPS}.json").read_text())
  assert stored["miou"] == summary["miou"]
  assert stored["per_class_iou"] == summary["per_class_iou"]
  status, output = run(["train.evaluate", f"--workdir={workdir / 'none'}"])
  assert status == 1
  assert "no run there" in output
