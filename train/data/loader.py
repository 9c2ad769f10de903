"""The training data loader: a Grain pipeline over a random-access source.

Batch s is a function of (seed, s) alone: the order and the augmentation are drawn from an example's
index in one endless stream, and every process loads its share of each batch. The training step
therefore determines the loader's position, and no loader state is checkpointed.
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

from train.data.corrupt import handle_corrupt


def training_batches(
  source,
  transform,
  *,
  batch_size: int,
  seed: int,
  start: int,
  stop: int,
  workers: int = 0,
  threads: int = 2,
  process_index: int = 0,
  process_count: int = 1,
  on_corrupt: str = "stop",
) -> Iterator[dict[str, np.ndarray]]:
  """Yields batches `start` to `stop - 1` of the stream: this process's share of each.

  Args:
    source: `len` and random access to {"image" [H, W, 3], "label" [H, W], ...}.
    transform: `(example, rng) -> example`; all results must have the same size.
    batch_size: examples in the global batch, over all processes.
    seed: for the order and the augmentation.
    workers: number of loader processes; 0 loads in threads of this process.
    threads: number of loader threads in each process.
    on_corrupt: "stop" at a corrupt example, or "skip" it; see `SkipCorrupt`.

  Yields:
    {"image": uint8 [b, H, W, 3], "label": uint8 [b, H, W]} with b = batch_size / process_count; for
    "skip" also "replaced", int32 [b], 1 where an example substitutes a corrupt one.

  Raises:
    CorruptExampleError: an example is corrupt; the message identifies it.
    ValueError: the source is empty, or the batch size is not divisible by the number of processes.
  """
  if len(source) == 0:
    raise ValueError("the training split is empty: expected at least one example")
  if batch_size < 1 or batch_size % process_count:
    raise ValueError(
      f"batch_size: expected a positive multiple of the {process_count} processes, got {batch_size}"
    )
  local_size = batch_size // process_count
  source = handle_corrupt(source, on_corrupt)
  stream = grain.MapDataset.source(source).seed(seed).shuffle().repeat().random_map(_to_arrays(transform))

  def load_example(local_index: int) -> dict | None:
    step, offset = divmod(local_index, local_size)
    return stream[step * batch_size + process_index * local_size + offset]

  batches = grain.MapDataset.range(start * local_size, stop * local_size).map(load_example).batch(local_size)
  options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
  iterator = batches.to_iter_dataset(options)
  if workers:
    _mark_flags_parsed()
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)
    iterator = iterator.mp_prefetch(options, worker_init_fn=_init_worker)
  return iter(iterator)


def _to_arrays(transform):
  """Wraps `transform` to keep only the arrays of a batch, made contiguous because a flip returns a view."""

  def apply(example: dict, rng: np.random.Generator) -> dict:
    example = transform(example, rng)
    replaced = {"replaced": np.int32(example["replaced"])} if "replaced" in example else {}
    return {**{key: np.ascontiguousarray(example[key]) for key in ("image", "label")}, **replaced}

  return apply


def _mark_flags_parsed() -> None:
  """Lets Grain's workers read absl's flags, which otherwise only `absl.app.run` parses."""
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()


def _init_worker(worker_index: int, worker_count: int) -> None:
  """Ignores SIGINT and SIGTERM, which reach all processes of a job: only the parent ends its workers."""
  del worker_index, worker_count
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
  threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
  """Exits when the parent does, so that the workers of a killed training release their memory."""
  if (parent := multiprocessing.parent_process()) is not None:
    parent.join()
  os._exit(1)
