"""Worker processes of the loader end with their parent and leave signals to it."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[3]


SCRIPT = """
import os, sys, time
sys.path[:0] = [{root!r}]
from tests.train.data.test_loader import Numbers, add_noise
from train.data.loader import training_batches

def main():
  batches = training_batches(
    Numbers(), add_noise, batch_size=2, seed=0, start=0, stop=10**6, workers={workers})
  for _ in range(5):
    next(batches)
  print("ready", flush=True)
  if {stay}:
    sys.stdin.readline()
    print(next(batches)["label"].shape, flush=True)

if __name__ == "__main__":
  main()
"""


@pytest.fixture
def consumer(tmp_path):
  """Starts a process that loads five batches, and a sixth one after it reads a line."""
  started = []

  def start(workers=2, stay=True):
    file = tmp_path / "consumer.py"
    file.write_text(SCRIPT.format(root=str(ROOT), workers=workers, stay=stay))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, str(file)]
    started.append(subprocess.Popen(command, **pipes, text=True, start_new_session=True))
    assert started[-1].stdout.readline() == "ready\n"
    return started[-1]

  yield start
  for process in started:
    with contextlib.suppress(ProcessLookupError):  # its session: workers too, if the test has failed
      os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def children(pid):
  """{pid: start time} of the child processes."""
  found = {}
  for entry in pathlib.Path("/proc").iterdir():
    if entry.name.isdigit() and (fields := stat(int(entry.name))) and int(fields[1]) == pid:
      found[int(entry.name)] = fields[19]
  return found


def stat(pid):
  """The fields after the name in /proc/PID/stat; None if the process has ended."""
  try:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
  except OSError:
    return None
  return None if fields[0] in "ZX" else fields


def assert_all_end(pids, seconds):
  deadline = time.monotonic() + seconds
  while alive := [pid for pid, began in pids.items() if (fields := stat(pid)) and fields[19] == began]:
    assert time.monotonic() < deadline, f"still alive: {alive}"
    time.sleep(0.05)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds the workers in /proc")
class TestWorkers:
  def test_workers_end_with_a_killed_parent(self, consumer):
    process = consumer()
    pids = children(process.pid)
    assert len(pids) >= 2  # the workers, and Python's own resource tracker
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert_all_end(pids, seconds=10)

  def test_workers_ignore_signals_to_the_job(self, consumer):
    """Ctrl-C reaches every process of the job; the parent can still finish its step and save."""
    process = consumer()
    for pid in children(process.pid):
      os.kill(pid, signal.SIGINT)
      os.kill(pid, signal.SIGTERM)
    time.sleep(0.3)
    out, err = process.communicate("go on\n", timeout=30)
    assert (process.returncode, out, err) == (0, "(2, 4, 5)\n", "")

  @pytest.mark.parametrize("workers", [0, 2])
  def test_process_ends_silently_before_the_stream_ends(self, consumer, workers):
    process = consumer(workers, stay=False)
    before = time.monotonic()  # after the start, which takes long on a busy machine
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
    assert time.monotonic() - before < 15
