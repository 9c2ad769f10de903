"""Trainings of several processes on this machine, as on several hosts."""

import json
import re
import signal
import socket
import time

import numpy as np
import pytest

from tests.helpers.processes import command, finish, free_port, launch
from tests.helpers.training import program
from train.checkpointing.digests import params_sha256
from train.distributed import initialize, multihost
from train.experiment.run import open_run
from train.loop.metric_writer import read_metrics

STEPS = 30
NAMES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def words(workdir, **changes):
  return command(workdir, **{"steps": STEPS, "checkpoint__every": 0, **changes})


def steps_logged(workdir):
  return [line["step"] for line in read_metrics(workdir) if "loss" in line]


def until_logged(workdir, step, processes):
  end = time.monotonic() + 200
  while step not in steps_logged(workdir):
    assert all(process.poll() is None for process in processes), finish(processes)
    assert time.monotonic() < end
    time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
  """A finished run of two processes with two devices each."""
  workdir = tmp_path_factory.mktemp("cluster") / "run"
  outputs = finish(launch([words(workdir)] * 2, devices=2))
  assert [status for status, _ in outputs] == [0, 0], outputs
  return workdir, outputs


def test_only_the_primary_process_writes_and_logs(undisturbed):
  workdir, outputs = undisturbed
  assert steps_logged(workdir) == list(range(1, STEPS + 1))
  assert "miou" in outputs[0][1]
  assert "step" not in outputs[1][1]
  assert "miou" not in outputs[1][1]
  assert len(list((workdir / "tensorboard").iterdir())) == 1
  summary = json.loads((workdir / "summary.json").read_text())
  assert params_sha256(open_run(workdir).variables["params"]) == summary["params_sha256"]
  total = json.loads((workdir / "summary.json").read_text())["per_class_pixels"]
  assert sum(total.values()) > 0, "each image is counted once, by one of the processes"


def test_all_processes_report_a_finished_run(undisturbed):
  workdir, _ = undisturbed
  for status, output in finish(launch([words(workdir)] * 2, devices=2)):
    assert status == 0
    assert f"is finished: step {STEPS}" in output


def test_sigterm_of_any_process_stops_all_after_a_save(undisturbed, tmp_path):
  """A signal to the second process stops both; the same command resumes to the same bits."""
  processes = launch([words(tmp_path)] * 2, devices=2)
  until_logged(tmp_path, 4, processes)
  processes[1].send_signal(signal.SIGTERM)
  outputs = finish(processes)
  assert [status for status, _ in outputs] == [0, 0], outputs
  assert "SIGTERM: saving after this step" in outputs[1][1]
  assert "interrupted: saved at step" in outputs[0][1]
  assert not (tmp_path / "summary.json").exists()
  outputs = finish(launch([words(tmp_path)] * 2, devices=2))
  assert [status for status, _ in outputs] == [0, 0], outputs
  assert "resuming from step" in outputs[0][1]
  summaries = [json.loads((path / "summary.json").read_text()) for path in (undisturbed[0], tmp_path)]
  assert summaries[0]["params_sha256"] == summaries[1]["params_sha256"]
  assert steps_logged(tmp_path) == list(range(1, STEPS + 1))


def test_a_killed_process_ends_the_others_and_one_can_resume(undisturbed, tmp_path):
  """One process with another backend resumes from a checkpoint by time; the result is equal to rounding."""
  processes = launch([words(tmp_path, checkpoint__seconds=0.01)] * 2, devices=2)
  until_logged(tmp_path, 6, processes)
  processes[1].kill()
  outputs = finish(processes, limit=100)
  assert outputs[0][0] != 0
  status, output = finish([program(words(tmp_path, checkpoint__seconds=0.01, parallel="jit"))])[0]
  assert status == 0, output
  assert "resuming from step" in output
  assert "CHANGED at step" in output
  assert "parallel was 'pmap', now 'jit'" in output
  resumed = int(re.search(r"resuming from step (\d+)", output).group(1))
  one, other = (
    {line["step"]: line["loss"] for line in read_metrics(path) if "loss" in line}
    for path in (undisturbed[0], tmp_path)
  )
  for step in range(resumed + 1, resumed + 4):
    assert other[step] == pytest.approx(one[step], rel=1e-4), "to rounding, which grows from step to step"
  summaries = [json.loads((path / "summary.json").read_text()) for path in (undisturbed[0], tmp_path)]
  assert summaries[0]["miou"] == pytest.approx(summaries[1]["miou"], abs=0.02)
  assert steps_logged(tmp_path) == list(range(1, STEPS + 1))


def test_all_processes_roll_back_together(tmp_path):
  """The failure dump has the batch of all processes; an interrupted run ends with the same bits."""
  guard = {
    "guard__action": "rollback",
    "guard__gradient_spike_factor": 1.3,
    "guard__window": 5,
    "guard__rollback_steps": 2,
  }
  changes = {
    **guard,
    "steps": 9,
    "schedule__learning_rate": 0.05,
    "guard__max_rejected": 40,
    "checkpoint__every": 1,
  }
  outputs = finish(launch([words(tmp_path / "run", **changes)] * 2, devices=2))
  assert [status for status, _ in outputs] == [0, 0], outputs
  assert "ROLLBACK: step" in outputs[0][1]
  record = (tmp_path / "run" / "rollbacks.json").read_text()
  first = json.loads(record)[0]
  dump = tmp_path / "run" / "failure_dumps" / f"{first['step']}-batch-{first['batch']}"
  assert np.load(dump / "batch.npz")["label"].shape == (8, 32, 48)
  assert steps_logged(tmp_path / "run") == list(range(1, 10))

  processes = launch([words(tmp_path / "again", **changes)] * 2, devices=2)
  until_logged(tmp_path / "again", first["step"] - 1, processes)
  processes[1].send_signal(signal.SIGTERM)
  outputs = finish(processes)
  assert [status for status, _ in outputs] == [0, 0], outputs
  assert "interrupted: saved at step" in outputs[0][1]
  outputs = finish(launch([words(tmp_path / "again", **changes)] * 2, devices=2))
  assert [status for status, _ in outputs] == [0, 0], outputs
  assert (tmp_path / "again" / "rollbacks.json").read_text() == record
  summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("run", "again")]
  assert summaries[0]["params_sha256"] == summaries[1]["params_sha256"]


def test_processes_with_different_configs_are_refused(tmp_path):
  commands = [words(tmp_path), words(tmp_path, schedule__learning_rate=0.5, seed=1)]
  for status, output in finish(launch(commands, devices=2)):
    assert status == 1
    assert "the processes differ" in output
    assert "config.schedule.learning_rate: 0.5 in process 1, 0.003 in process 0" in output
    assert "config.seed: 1 in process 1, 0 in process 0" in output
  assert not (tmp_path / "config.json").exists()


def test_a_rejected_step_stops_all_processes(tmp_path):
  changes = {"schedule__learning_rate": 1e30, "schedule__warmup": 0, "steps": 5}
  for index, (status, output) in enumerate(finish(launch([words(tmp_path, **changes)] * 2, devices=2))):
    assert status == 1, index
    assert re.search(r"error: step 1: .*; dump: .*1-batch-0\.", output), output
    assert "Continue with --change" in output


def test_a_missing_process_is_a_timeout(tmp_path):
  changes = {"cluster": f"127.0.0.1:{free_port()},2,0", "cluster_timeout": 2}
  status, output = finish([program(words(tmp_path / "run", **changes))])[0]
  assert status == 1, output
  assert "error: process 0 of 2 waited 2 s for the others at 127.0.0.1:" in output
  assert not (tmp_path / "run").exists()


def test_a_port_in_use_is_refused():
  with socket.create_server(("", 0)) as taken:
    port = taken.getsockname()[1]
    with pytest.raises(ValueError, match=f"port {port} cannot be listened at .* choose another"):
      initialize.initialize(f"127.0.0.1:{port},2,0")


def test_an_error_of_the_primary_process_ends_all(tmp_path):
  (tmp_path / "run").write_text("a file")
  outputs = finish(launch([words(tmp_path / "run")] * 2, devices=2))
  assert [status for status, _ in outputs] == [1, 1]
  for _, output in outputs:
    assert f"workdir {tmp_path / 'run'} cannot be written" in output
  assert "process 0 of 2: " in outputs[1][1]


def test_two_processes_started_by_slurm_variables(tmp_path):
  """The environment variables that srun sets for two processes."""
  number = 60000 + free_port() % 4000
  common = {"SLURM_JOB_ID": str(number), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
  processes = [
    program(words(tmp_path, steps=2), SLURM_PROCID=str(i), SLURM_LOCALID=str(i), **common) for i in range(2)
  ]
  outputs = finish(processes)
  assert [status for status, _ in outputs] == [0] * 2, outputs
  assert steps_logged(tmp_path) == [1, 2]
  assert "loss" not in outputs[1][1]


@pytest.mark.parametrize(
  ("environment", "kind"),
  [
    ({}, "single"),
    ({"SLURM_NTASKS": "1", "SLURM_STEP_NODELIST": "n1"}, "single"),
    ({"SLURM_NTASKS": "2"}, "single"),  # the shell of an allocation is no step of it
    ({"SLURM_NTASKS": "2", "SLURM_STEP_NODELIST": "n[1-2]"}, "slurm"),
    ({"SLURM_NTASKS": "2", "SLURM_STEP_NODELIST": "n1", "JAX_COORDINATOR_ADDRESS": "a:1"}, "explicit"),
    ({"OMPI_COMM_WORLD_SIZE": "4"}, "ompi"),
    ({"TPU_ML_PLATFORM": "JAX"}, "tpu"),
  ],
)
def test_the_cluster_is_detected_from_the_environment(monkeypatch, environment, kind):
  for name in ("SLURM_NTASKS", "SLURM_STEP_NODELIST", "OMPI_COMM_WORLD_SIZE", "TPU_ML_PLATFORM", *NAMES):
    monkeypatch.delenv(name, raising=False)
  for name, value in environment.items():
    monkeypatch.setenv(name, value)
  assert initialize.detect_cluster() == kind


@pytest.mark.parametrize("values", [("host", "2", "0"), ("host:1", "", "0"), ("host:1", "2", "2")])
def test_incomplete_explicit_variables_are_refused(monkeypatch, values):
  for name, value in zip(NAMES, values, strict=True):
    monkeypatch.setenv(name, value)
  with pytest.raises(
    ValueError, match=f"HOST:PORT, a number and an index below it, got .*JAX_PROCESS_ID={values[2]}"
  ):
    initialize.initialize("explicit")


def test_bad_cluster_settings_are_refused():
  with pytest.raises(ValueError, match=r"cluster: expected one of auto, single, .* got 'mpi'"):
    initialize.initialize("mpi")
  for words in ("a:1,2,2", "a:1,2", "a:1,2,0,0", "a:99999,2,0", ":1,2,0"):
    with pytest.raises(ValueError, match=f"an index below it, got '{words}'"):
      initialize.initialize(words)
  with pytest.raises(ValueError, match="cluster: slurm: this process cannot join the others"):
    initialize.initialize("slurm")


def test_collectives_of_a_single_process():
  assert multihost.gather({"a": [1]}) == [{"a": [1]}]
  assert multihost.broadcast(lambda: None, like=1.0) is None
  with pytest.raises(OSError, match="full"):
    multihost.on_primary(lambda: (_ for _ in ()).throw(OSError("full")))
