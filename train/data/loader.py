"""The stream of training batches: Grain over a random-access source.

Batch s is a function of (seed, s) alone: the examples' order and augmentation are drawn for their
place in one endless stream, and every process takes its part of each batch. The step therefore
places the loader; nothing of it need be saved.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator

import grain
import numpy as np
from absl import flags

from train.data.corrupt import tolerating


def training_batches(
  source,
  augment,
  *,
  batch: int,
  seed: int,
  start: int,
  stop: int,
  workers: int = 0,
  threads: int = 2,
  process_index: int = 0,
  process_count: int = 1,
  on_corrupt: str = "stop",
) -> Iterator[dict[str, np.ndarray]]:
  """Batches `start` to `stop - 1` of the stream: this process's part of each.

  Args:
    source: `len` and random access to {"image" [H, W, 3], "label" [H, W], ...}.
    augment: `(example, rng) -> example` that brings all to one size.
    batch: the global batch: examples a step, over all processes.
    seed: of order and augmentation.
    workers: processes that load; 0 loads in threads of this one.
    threads: that load, in each process.
    on_corrupt: "stop" at a damaged example, or "skip" it: see `Replacing`.

  Yields:
    {"image": uint8 [b, H, W, 3], "label": uint8 [b, H, W]}, b = batch / process_count; with "skip" also
    "replaced", int32 [b], 1 where an example stands for a damaged one.

  Raises:
    CorruptExample: a damaged one, which is named.
    ValueError: an empty source, or a batch that does not divide over the processes.
  """
  if len(source) == 0:
    raise ValueError("the training split is empty: expected at least one example")
  if batch < 1 or batch % process_count:
    raise ValueError(f"batch: expected a positive multiple of the {process_count} processes, got {batch}")
  part = batch // process_count
  source = tolerating(source, on_corrupt)
  stream = grain.MapDataset.source(source).seed(seed).shuffle().repeat().random_map(_arrays(augment))

  def example_at(local: int) -> dict:
    step, place = divmod(local, part)
    return stream[step * batch + process_index * part + place]

  batches = grain.MapDataset.range(start * part, stop * part).map(example_at).batch(part)
  options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
  iterator = batches.to_iter_dataset(options)
  if workers:
    _parse_flags()
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)
    iterator = iterator.mp_prefetch(options, worker_init_fn=_start_worker)
  return iter(iterator)


def _arrays(augment):
  """`augment`, keeping what a batch is made of; contiguous, as a flip is a view."""

  def transform(example: dict, rng: np.random.Generator) -> dict:
    example = augment(example, rng)
    count = {"replaced": np.int32(example["replaced"])} if "replaced" in example else {}
    return {**{key: np.ascontiguousarray(example[key]) for key in ("image", "label")}, **count}

  return transform


def _parse_flags() -> None:
  """Grain's worker processes read absl's flags, which only `absl.app.run` has parsed."""
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()


def _start_worker(worker_index: int, worker_count: int) -> None:
  """Ctrl-C and SIGTERM reach all processes of a job: the parent alone decides when the workers end."""
  del worker_index, worker_count
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
  threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
  """A loader that outlives a killed training would hold its memory for ever."""
  multiprocessing.parent_process().join()
  os._exit(1)
