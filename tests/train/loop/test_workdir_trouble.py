"""Workdirs that can no longer be written: the message, and what is kept; with real disks and processes."""

import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.soak import assert_same, command, steps_logged, wait_for
from tests.helpers.training import ROOT, one_device, program, run
from train.checkpointing import disk
from train.checkpointing.checkpoint import Checkpoints

MEGABYTE = 1 << 20
STATE = {"w": np.zeros(3 * MEGABYTE // 4, np.float32)}
# A mount of one's own, where the kernel lets a user have one.
OWN_MOUNTS = ["unshare", "--map-root-user", "--mount"]
needs_mounts = pytest.mark.skipif(
  not shutil.which("unshare") or subprocess.run([*OWN_MOUNTS, "true"], capture_output=True).returncode != 0,
  reason="unshare cannot make a mount namespace here",
)


def on_small_disk(folder, script, megabytes):
  """Runs a shell script in a namespace where `folder` is a disk of that size."""
  folder.mkdir()
  mount = f"mount -t tmpfs -o size={megabytes}m none {folder}"
  command = [*OWN_MOUNTS, "bash", "-c", f"{mount} && {script}"]
  environment = {**one_device(), "PYTHONPATH": str(ROOT)}
  done = subprocess.run(
    command,
    cwd=ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    timeout=300,
  )
  return done.returncode, done.stdout


SAVE = """
import pathlib, sys
import numpy as np
from train.checkpointing.checkpoint import Checkpoints
from train.utils.errors import report_errors
size, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
checkpoints = Checkpoints(folder / "checkpoints", max_to_keep=3)
state = lambda step: {"w": np.random.default_rng(step).random(size >> 3)}
with report_errors():
  for step in (1, 2, 3):
    checkpoints.save(step, state(step), 1.0)
"""
READ = """
import pathlib, sys
import numpy as np
from train.checkpointing.checkpoint import Checkpoints
size, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
checkpoints = Checkpoints(folder / "checkpoints", max_to_keep=3)
state, _ = checkpoints.restore({"w": np.zeros(size >> 3)})
np.testing.assert_array_equal(state["w"], np.random.default_rng(2).random(size >> 3))
print("restored", checkpoints.steps(), [path.name for path in (folder / "checkpoints").glob("*tmp*")])
"""


@needs_mounts
def test_a_checkpoint_on_a_full_disk(tmp_path):
  """The third checkpoint of 3 MB does not fit on 8 MB: the second is kept and nothing of the third is."""
  (tmp_path / "save.py").write_text(SAVE)
  (tmp_path / "read.py").write_text(READ)
  disk = tmp_path / "disk"
  arguments = f"{3 * MEGABYTE} {disk}"
  scripts = "; ".join(
    f"{ROOT}/.venv/bin/python {tmp_path}/{name}.py {arguments}" for name in ("save", "read")
  )
  status, output = on_small_disk(disk, scripts, 8)
  assert status == 0, output
  assert f"error: {disk}/checkpoints: checkpoint 3 could not be written: " in output
  assert "the disk is full: it takes 3,145,728 bytes and some more; free some space" in output
  assert "bytes free; kept: [1, 2])" in output
  assert "Traceback" not in output
  assert "restored [1, 2] []" in output


@needs_mounts
def test_a_training_on_a_full_disk(tmp_path):
  arguments = shlex.join(command(tmp_path / "disk"))
  status, output = on_small_disk(tmp_path / "disk", f"{ROOT}/.venv/bin/python -m {arguments}", 2)
  assert status == 1, output
  assert f"error: {tmp_path}/disk" in output
  assert "bytes free" in output
  assert "Traceback" not in output


@needs_mounts
def test_a_read_only_workdir(tmp_path):
  arguments = shlex.join(command(tmp_path / "disk"))
  script = f"mount -o remount,ro {tmp_path}/disk && {ROOT}/.venv/bin/python -m {arguments}"
  status, output = on_small_disk(tmp_path / "disk", script, 2)
  assert status == 1, output
  assert f"error: {tmp_path}/disk cannot be written: " in output
  assert "mounted read-only: mount it for writing, or use another --workdir" in output
  assert "Traceback" not in output


@pytest.mark.parametrize("instead", ["nothing", "file"])
def test_a_workdir_that_is_deleted_or_replaced(tmp_path, instead):
  """In the middle of a training; a workdir that was moved can be resumed in its new place."""
  workdir, away = tmp_path / "run", tmp_path / "away"
  process = program(command(workdir))
  wait_for(process, lambda: steps_logged(workdir) >= 7)
  workdir.rename(away)
  if instead == "file":
    workdir.write_text("")
  output, _ = process.communicate(timeout=60)
  assert process.returncode == 1, output
  says = {
    "nothing": "it is not there: mount or restore it",
    "file": f"{workdir} is a file, where a folder is expected",
  }
  assert f"error: {workdir}" in output
  assert says[instead] in output
  assert "bytes free" in output
  assert "Traceback" not in output
  assert not workdir.is_dir(), "a folder without its other files must not be made"
  assert any(path.name.isdigit() for path in (away / "checkpoints").iterdir())
  if instead == "nothing":
    for folder in (away, tmp_path / "undisturbed"):
      status, output = run(command(folder))
      assert status == 0, output
    assert_same(away, tmp_path / "undisturbed")


def test_write_problems_are_explained(tmp_path):
  assert disk.write_problem(tmp_path) is None
  (tmp_path / "file").write_text("")
  assert "is a file, where a folder is expected" in disk.write_problem(tmp_path / "file")
  assert "it is not there" in disk.write_problem(tmp_path / "none")
  with (
    pytest.raises(disk.WriteError, match=rf"{tmp_path}/none cannot be written: it is not there.*bytes free"),
    disk.explain_write_errors(tmp_path / "none"),
  ):
    (tmp_path / "none" / "x").write_text("")
  with pytest.raises(FileNotFoundError), disk.explain_write_errors(tmp_path):
    (tmp_path / "none" / "x").write_text("")


def test_a_deleted_checkpoint_directory_is_not_recreated(tmp_path):
  checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", max_to_keep=1)
  with pytest.raises(disk.WriteError, match="checkpoint 1 could not be written: it is not there"):
    checkpoints.save(1, STATE, 0.0)
  (tmp_path / "run").mkdir()
  checkpoints.save(1, STATE, 0.0)
  shutil.rmtree(tmp_path / "run")
  with pytest.raises(disk.WriteError, match=r"it is not there.*kept: \[\]"):
    checkpoints.save(2, STATE, 0.0)
  assert not (tmp_path / "run").exists()


THREADS = """
import _thread, asyncio, pathlib, sys, time
from train.checkpointing.checkpoint import Checkpoints
Checkpoints(pathlib.Path(sys.argv[1]), max_to_keep=1).steps()
async def lost(task):
  await asyncio.wait([asyncio.create_task(task)])
async def orbax_writes():
  raise FileExistsError
async def another():
  raise TimeoutError
asyncio.run(lost(orbax_writes()))
asyncio.run(lost(another()))
_thread.start_new_thread(lambda: 1 / 0, ())  # ends in sys.unraisablehook
_thread.start_new_thread(lambda: sys.excepthook(ValueError, ValueError("in a thread"), None), ())
time.sleep(0.5)
raise ValueError("in the main one")
"""


def test_threads_of_libraries_print_no_tracebacks(tmp_path):
  """Tensorstore prints a page for each file that it could not write."""
  environment = {**one_device(), "PYTHONPATH": str(ROOT)}
  done = subprocess.run(
    [sys.executable, "-c", THREADS, tmp_path], env=environment, capture_output=True, text=True, timeout=60
  )
  assert "ZeroDivisionError" not in done.stderr
  assert "in a thread" not in done.stderr
  assert "FileExistsError" not in done.stderr
  assert "TimeoutError" in done.stderr
  assert "ValueError: in the main one" in done.stderr
