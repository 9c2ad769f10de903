"""What the loop tells of itself: progress, logged metrics, waiting time, and steps that were held."""

from __future__ import annotations

import collections
import logging
import math
import pathlib
import time
from collections.abc import Iterator

import jax
import numpy as np

from train.distributed import multihost
from train.loop.divergence import Held
from train.loop.metric_writer import MetricLog, read_metrics
from train.step.update_guard import HELD
from train.utils.progress import ProgressMeter

_LOG = logging.getLogger("train")
_CURVE = 200  # steps that evidence shows


class Recorder:
  """Receives the metrics of every step and looks at them one step late.

  The device computes step s while the host looks at s - 1. `flush` looks at what is left: nothing is
  saved before it is known whether the guard held a step.

  Args:
    workdir: of the run.
    config: with steps, batch and log.every.
    step: steps done by earlier runs.

  The first process writes; the others look at the metrics too, so that all of them see what is wrong.

  Attributes:
    granted: names of the wishes, of `train.loop.control`, that came with the steps looked at.
    totals: "skipped" steps and "replaced" examples of the whole run.
  """

  def __init__(self, workdir: pathlib.Path, config, step: int):
    self._every, self._steps = config.log.every, config.steps
    self._evaluations = dict(multihost.on_first(lambda: _evaluations(workdir, step)))
    self._batch = config.batch_size
    self._log = self._meter = None
    if multihost.first():
      self._log = MetricLog(workdir, step)
      self._meter = ProgressMeter(
        config.steps * config.batch_size, "training", "images", done=step * config.batch_size
      )
    self.totals = dict(multihost.on_first(lambda: _totals(workdir, step)))
    self._skip, self._curve = config.guard.action == "skip", collections.deque(maxlen=_CURVE)
    self._pending = None
    self.granted: set[str] = set()
    self._started, self._waited = time.monotonic(), 0.0
    self._trouble: OSError | None = None

  def __enter__(self) -> Recorder:
    return self

  def __exit__(self, *exception) -> None:
    if self._log:
      self._meter.close()
      self._log.close()

  def failed(self) -> bool:
    """Whether the log could not be written; all processes learn of it by a wish."""
    return self._trouble is not None

  def complain(self) -> None:
    """Raises what the log could not be written for, if it could not, in all processes."""

    def fail():
      if self._trouble:
        raise self._trouble

    multihost.on_first(fail)

  def evaluated(self, step: int) -> bool:
    return step in self._evaluations

  def miou(self, step: int) -> float:
    """Of the evaluation at `step`; -inf where there was none."""
    return self._evaluations.get(step, -math.inf)

  def is_best(self, step: int) -> bool:
    """Whether no other evaluation so far is better than that of `step`."""
    return self.evaluated(step) and self.miou(step) == max(self._evaluations.values())

  def waiting(self, batches: Iterator) -> dict:
    """The next batch; the time it took to come is counted."""
    before = time.monotonic()
    batch = next(batches)
    self._waited += time.monotonic() - before
    return batch

  def training(self, step: int, metrics: dict, batch: dict) -> Held | None:
    """Takes the metrics of `step`, still on their way, and returns what `flush` does of the step before."""
    held = self.flush()
    self._pending = step, metrics, batch
    if self._meter:
      self._meter.advance(self._batch)
    return held

  def flush(self) -> Held | None:
    """Looks at the metrics that are still pending; returns the step if the guard held it."""
    if self._pending is None:
      return None
    step, metrics, batch = self._pending
    self._pending = None
    values = {name: float(np.asarray(value)) for name, value in jax.device_get(metrics).items()}
    wishes = {name for name in values if name.startswith("wishes/")}
    self.granted |= {name.removeprefix("wishes/") for name in wishes if values.pop(name)}
    held = Held(step, values, batch, list(self._curve)) if values.pop(HELD) else None
    self._curve.append({"step": step, **{name: values[name] for name in ("loss", "gradient_norm")}})
    if held is None or self._skip:
      replaced = int(values.pop("replaced", 0))
      self._write(step, values, {"skipped": int(held is not None), "replaced": replaced})
    return held

  def _write(self, step: int, values: dict[str, float], incidents: dict[str, int]) -> None:
    """Logs a step, if it is one that is to be or something happened."""
    incidents = {name: count for name, count in incidents.items() if count}
    for name, count in incidents.items():
      self.totals[name] += count
    if self._log and (step % self._every == 0 or step == self._steps or incidents):
      elapsed = time.monotonic() - self._started
      rates = {"images_per_second": self._meter.rate, "waiting": self._waited / elapsed}
      self._keep(step, {**values, **incidents, **rates})
      told = "".join(f"  {name} {self.totals[name]}" for name in incidents)
      _LOG.info("step %d  loss %.4f  waiting %.1f %%%s", step, values["loss"], 100 * rates["waiting"], told)

  def _keep(self, step: int, values: dict[str, float]) -> None:
    try:
      self._log.write(step, values)
    except OSError as error:  # alone, this process would leave the others waiting
      self._trouble = error

  def evaluation(self, step: int, results: dict) -> None:
    """Logs the results of an evaluation, once a step."""
    if self._log and step not in self._evaluations:
      scores = {f"eval/{name}": value for name, value in results.items() if isinstance(value, float)}
      self._keep(step, scores)
    self._evaluations[step] = results["miou"]
    _LOG.info("step %d  mIoU %.4f", step, results["miou"])


def _totals(workdir: pathlib.Path, step: int) -> dict[str, int]:
  """Of the steps up to `step`."""
  lines = [line for line in read_metrics(workdir) if line["step"] <= step]
  return {name: int(sum(line.get(name, 0) for line in lines)) for name in ("skipped", "replaced")}


def _evaluations(workdir: pathlib.Path, step: int) -> list[tuple[int, float]]:
  """Step and mIoU of what was evaluated up to `step`."""
  lines = [line for line in read_metrics(workdir) if "eval/miou" in line and line["step"] <= step]
  return [(line["step"], line["eval/miou"]) for line in lines]
