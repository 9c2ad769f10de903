"""The metrics of training steps: read one step late, logged, and summed up over the run."""

from __future__ import annotations

import collections
import logging
import pathlib
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from train.distributed import multihost
from train.loop.control import StepControl
from train.loop.metric_writer import MetricWriter, read_metrics
from train.step.update_guard import REJECTED
from train.utils.progress import ProgressMeter

_LOG = logging.getLogger("train")
_HISTORY = 200  # steps that a failure dump shows


class RejectedStep(NamedTuple):
  """A step whose update the guard did not apply.

  Attributes:
    step: counted from 1.
    values: its metrics.
    batch: its batch, as the loader gave it.
    history: metrics of the steps before.
  """

  step: int
  values: dict[str, float]
  batch: dict
  history: list[dict]


class Metrics:
  """Receives the metrics of every step and reads them one step late.

  The device computes step s while the host reads the metrics of s - 1. Only the primary process writes; the
  others read the metrics too, so that all of them see a rejected step.

  Args:
    writer: of the log; None except in the primary process.
    workdir: of the run.
    config: with steps, batch_size, log.every and guard.action.
    step: steps done by earlier starts of the run.

  Attributes:
    totals: "skipped" steps and "replaced" examples of the whole run.
  """

  def __init__(self, writer: MetricWriter | None, workdir: pathlib.Path, config, step: int):
    self._writer, self._config = writer, config
    self._meter = None
    if multihost.is_primary():
      total, done = config.steps * config.batch_size, step * config.batch_size
      self._meter = ProgressMeter(total, "training", "images", done=done)
    self.totals = dict(multihost.on_primary(lambda: _read_totals(workdir, step)))
    self._history = collections.deque(maxlen=_HISTORY)
    self._pending = collections.deque()
    self._started, self._waited = time.monotonic(), 0.0

  def __enter__(self) -> Metrics:
    return self

  def __exit__(self, *exception) -> None:
    if self._meter:
      self._meter.close()

  def next_batch(self, batches: Iterator) -> dict:
    """The next batch; the time spent waiting for it is logged."""
    before = time.monotonic()
    batch = next(batches)
    self._waited += time.monotonic() - before
    return batch

  def push(self, step: int, metrics: dict, flags, batch: dict) -> None:
    """Takes the results of `step`, which the device may still be computing."""
    self._pending.append((step, metrics, flags, batch))
    if self._meter:
      self._meter.advance(self._config.batch_size)

  def read(self, control: StepControl, late: int) -> RejectedStep | None:
    """Reads the results of all steps but the last `late`; returns the step that the guard rejected, if any.

    Args:
      control: takes the control flags of these steps.
    """
    rejected = None
    while len(self._pending) > late:
      rejected = self._read(control, *self._pending.popleft()) or rejected
    return rejected

  def _read(self, control: StepControl, step: int, metrics: dict, flags, batch: dict) -> RejectedStep | None:
    metrics, flags = jax.device_get((metrics, flags))
    control.update(flags)
    values = {name: float(np.asarray(value)) for name, value in metrics.items()}
    rejected = RejectedStep(step, values, batch, list(self._history)) if values.pop(REJECTED) else None
    self._history.append({"step": step, **{name: values[name] for name in ("loss", "gradient_norm")}})
    if rejected is None or self._config.guard.action == "skip":
      replaced = int(values.pop("replaced", 0))
      self._log(step, values, {"skipped": int(rejected is not None), "replaced": replaced})
    return rejected

  def _log(self, step: int, values: dict[str, float], incidents: dict[str, int]) -> None:
    """Logs a step every `log.every` steps, and every step with an incident."""
    incidents = {name: count for name, count in incidents.items() if count}
    for name, count in incidents.items():
      self.totals[name] += count
    due = step % self._config.log.every == 0 or step == self._config.steps
    if self._writer and self._meter and (due or incidents):
      waiting = self._waited / (time.monotonic() - self._started)
      rates = {"images_per_second": self._meter.rate, "waiting": waiting}
      self._writer.write(step, {**values, **incidents, **rates})
      counts = "".join(f"  {name} {self.totals[name]}" for name in incidents)
      _LOG.info("step %d  loss %.4f  waiting %.1f %%%s", step, values["loss"], 100 * waiting, counts)


def _read_totals(workdir: pathlib.Path, step: int) -> dict[str, int]:
  """The totals of the steps up to `step`, from the log."""
  lines = [line for line in read_metrics(workdir) if line["step"] <= step]
  return {name: int(sum(line.get(name, 0) for line in lines)) for name in ("skipped", "replaced")}
