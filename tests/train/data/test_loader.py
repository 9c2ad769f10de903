"""The loader: batches depend only on (seed, step), and worker processes end with their parent."""

import contextlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from train.data.loader import training_batches
from train.data.prepared import decode_image

ROOT = pathlib.Path(__file__).parents[3]
N = 7


class Numbers:
  """All pixels of example i are i."""

  def __init__(self, count=N):
    self.count = count

  def __len__(self):
    return self.count

  def __getitem__(self, index):
    image = np.full((4, 5, 3), index, np.uint8)
    return {"id": str(index), "image": image, "label": np.full((4, 5), index, np.uint8)}


NUMBERS = Numbers()


class Broken(Numbers):
  def __getitem__(self, index):
    if index == 3:
      raise ValueError("train/0003.jpg: not a readable image")
    return super().__getitem__(index)


def add_noise(example, rng):
  """Adds noise with a varying number of draws to channels 1 and 2, and returns views, as a flip does."""
  image = example["image"].copy()
  image[..., 1] = rng.integers(0, 256, image.shape[:2], np.uint8)
  for _ in range(int(rng.integers(4))):
    image[0, 0, 2] = rng.integers(0, 7)
  image[..., 2] += np.uint8(100 * rng.random())
  return {**example, "image": image[:, ::-1], "label": example["label"][:, ::-1]}


def load(stop, *, start=0, batch_size=3, seed=0, source=NUMBERS, **options):
  return list(
    training_batches(source, add_noise, batch_size=batch_size, seed=seed, start=start, stop=stop, **options)
  )


def ids(batches):
  return [int(i) for batch in batches for i in batch["label"][:, 0, 0]]


def assert_same(batches, expected):
  assert len(batches) == len(expected)
  for one, other in zip(batches, expected, strict=True):
    assert set(one) == set(other) == {"image", "label"}
    np.testing.assert_array_equal(one["image"], other["image"])
    np.testing.assert_array_equal(one["label"], other["label"])


@pytest.fixture(scope="module")
def batches():
  return load(14)


def test_batches_pair_images_and_labels(batches):
  for batch in batches:
    assert batch["image"].shape == (3, 4, 5, 3)
    assert batch["label"].shape == (3, 4, 5)
    assert batch["image"].dtype == batch["label"].dtype == np.uint8
    np.testing.assert_array_equal(batch["image"][..., 0], batch["label"])


class TestOrder:
  def test_every_epoch_has_every_example_once(self, batches):
    stream = ids(batches)  # 14 batches of 3: 6 epochs of 7, which 3 does not divide
    epochs = [tuple(stream[k : k + N]) for k in range(0, len(stream), N)]
    assert len(epochs) == 6
    assert all(sorted(epoch) == list(range(N)) for epoch in epochs)
    assert len(set(epochs)) == 6

  def test_batch_may_be_larger_than_the_source(self):
    stream = ids(load(7, batch_size=16, source=Numbers(8)))
    assert all(sorted(stream[k : k + 8]) == list(range(8)) for k in range(0, 112, 8))

  def test_seeds_give_different_streams(self, batches):
    other = load(14, seed=1)
    assert ids(other) != ids(batches)
    assert ids(other)[:N] != ids(batches)[N : 2 * N]  # nor is seed 1 the same stream an epoch later
    assert not any(
      np.array_equal(a["image"][..., 1], b["image"][..., 1]) for a, b in zip(other, batches, strict=True)
    )

  def test_every_augmentation_is_different(self, batches):
    noise = [image[..., 1].tobytes() for batch in batches for image in batch["image"]]
    assert len(noise) == len(set(noise)) == 42


class TestFunctionOfSeedAndStep:
  @pytest.mark.parametrize("start", [1, 2, 5, 13])
  def test_stream_can_start_at_any_step(self, batches, start):
    assert_same(load(14, start=start), batches[start:])

  def test_stream_can_start_at_a_large_step(self):
    far = 10**9
    assert_same(load(far + 2, start=far + 1), load(far + 2, start=far)[1:])

  @pytest.mark.parametrize("threads", [1, 4, 9])
  def test_thread_count_does_not_change_batches(self, batches, threads):
    assert_same(load(14, threads=threads), batches)

  @pytest.mark.parametrize(("workers", "start"), [(2, 0), (3, 12)])
  def test_worker_count_does_not_change_batches(self, batches, workers, start):
    assert_same(load(14, start=start, workers=workers), batches[start:])

  @pytest.mark.parametrize("workers", [0, 2])
  def test_empty_range_yields_no_batches(self, workers):
    assert load(5, start=5, workers=workers) == []

  @pytest.mark.parametrize("count", [2, 4])
  def test_shares_of_processes_form_the_global_batch(self, count):
    whole = load(9, batch_size=4)
    parts = [load(9, batch_size=4, process_index=index, process_count=count) for index in range(count)]
    assert all(part[0]["label"].shape == (4 // count, 4, 5) for part in parts)
    together = [
      {key: np.concatenate([part[step][key] for part in parts]) for key in ("image", "label")}
      for step in range(9)
    ]
    assert_same(together, whole)

  def test_shares_with_a_late_start_and_workers(self):
    whole = load(9, batch_size=4)
    part = load(9, start=4, batch_size=4, process_index=1, process_count=2, workers=2)
    assert_same(part, [{key: value[2:] for key, value in batch.items()} for batch in whole[4:]])


class TestDecoded:
  def file(self, image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()

  def test_palette_image_is_decoded_as_indices(self):
    indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(indices)
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    np.testing.assert_array_equal(decode_image(self.file(image)), indices)

  @pytest.mark.parametrize("kind", ["PNG", "JPEG"])
  @pytest.mark.parametrize("share", [0.5, 0.95])
  def test_truncated_file_is_reported_as_truncated(self, kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    file = self.file(Image.fromarray(noise), kind)
    assert decode_image(file).shape == noise.shape
    with pytest.raises(OSError, match="truncated"):
      decode_image(file[: int(share * len(file))])


class TestErrors:
  def test_empty_source_is_rejected(self):
    with pytest.raises(ValueError, match="the training split is empty"):
      load(1, source=Numbers(0))

  @pytest.mark.parametrize(("batch_size", "count"), [(3, 2), (2, 4), (0, 1), (-2, 2)])
  def test_indivisible_batch_size_is_rejected(self, batch_size, count):
    with pytest.raises(ValueError, match=f"positive multiple of the {count} processes, got {batch_size}"):
      load(1, batch_size=batch_size, process_count=count)

  @pytest.mark.parametrize("workers", [0, 2])
  def test_error_of_the_source_reaches_the_consumer(self, workers):
    with pytest.raises(ValueError, match=r"train/0003\.jpg: not a readable image"):
      load(N, source=Broken(), workers=workers)


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
    before = time.monotonic()
    process = consumer(workers, stay=False)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
    assert time.monotonic() - before < 15
