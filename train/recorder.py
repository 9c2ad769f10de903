"""What the loop tells of itself: progress, logged metrics, waiting time, and the alarm for NaN."""

from __future__ import annotations

import logging
import math
import pathlib
import time
from collections.abc import Iterator

import jax
import numpy as np

from train import hosts
from train.log import MetricLog, read_metrics
from train.progress import Meter

_LOG = logging.getLogger("train")


class TrainingDiverged(ArithmeticError):
  """The loss or the gradient is no longer finite."""


class Recorder:
  """Receives the metrics of every step and looks at them one step late.

  The device computes step s while the host looks at s - 1. `flush` looks at what is left: nothing is
  saved before the metrics that belong to it were found finite.

  Args:
    workdir: of the run.
    config: with steps, batch and log.every.
    step: steps done by earlier runs.

  The first process writes; the others look at the metrics too, so that all of them see what is wrong.

  Attributes:
    granted: names of the wishes, of `train.wishes`, that came with the steps looked at.
  """

  def __init__(self, workdir: pathlib.Path, config, step: int):
    self._every, self._steps = config.log.every, config.steps
    self._evaluations = dict(hosts.on_first(lambda: _evaluations(workdir, step)))
    self._batch = config.batch
    self._log = self._meter = None
    if hosts.first():
      self._log = MetricLog(workdir, step)
      self._meter = Meter(config.steps * config.batch, "training", "images", done=step * config.batch)
    self._pending = None
    self.granted: set[str] = set()
    self._started, self._waited = time.monotonic(), 0.0

  def __enter__(self) -> Recorder:
    return self

  def __exit__(self, *exception) -> None:
    if self._log:
      self._meter.close()
      self._log.close()

  @property
  def best_miou(self) -> float:
    return max(self._evaluations.values(), default=-math.inf)

  def evaluated(self, step: int) -> bool:
    return step in self._evaluations

  def waiting(self, batches: Iterator) -> dict:
    """The next batch; the time it took to come is counted."""
    before = time.monotonic()
    batch = next(batches)
    self._waited += time.monotonic() - before
    return batch

  def training(self, step: int, metrics: dict) -> None:
    """Takes the metrics of `step`, still on their way, and looks at those of the step before.

    Raises:
      TrainingDiverged: those are not finite.
    """
    self.flush()
    self._pending = step, metrics
    if self._meter:
      self._meter.advance(self._batch)

  def flush(self) -> None:
    """Looks at the metrics that are still pending.

    Raises:
      TrainingDiverged: they are not finite.
    """
    if self._pending is None:
      return
    step, metrics = self._pending
    self._pending = None
    values = {name: float(np.asarray(value)) for name, value in jax.device_get(metrics).items()}
    wishes = {name for name in values if name.startswith("wishes/")}
    self.granted |= {name.removeprefix("wishes/") for name in wishes if values.pop(name)}
    for name in ("loss", "gradient_norm"):
      if not math.isfinite(values[name]):
        raise TrainingDiverged(
          f"step {step}: {name} is {values[name]}; the newest checkpoint is of before. Try a lower "
          f"schedule.rate, a warm-up (schedule.warmup) or optimizer.clip_norm"
        )
    if self._log and (step % self._every == 0 or step == self._steps):
      elapsed = time.monotonic() - self._started
      values |= {"images_per_second": self._meter.rate, "waiting": self._waited / elapsed}
      self._log.write(step, values)
      _LOG.info("step %d  loss %.4f  waiting %.1f %%", step, values["loss"], 100 * values["waiting"])

  def evaluation(self, step: int, results: dict) -> None:
    """Logs the results of an evaluation, once a step."""
    if self._log and step not in self._evaluations:
      scores = {f"eval/{name}": value for name, value in results.items() if isinstance(value, float)}
      self._log.write(step, scores)
    self._evaluations[step] = results["miou"]
    _LOG.info("step %d  mIoU %.4f", step, results["miou"])


def _evaluations(workdir: pathlib.Path, step: int) -> list[tuple[int, float]]:
  """Step and mIoU of what was evaluated up to `step`."""
  lines = [line for line in read_metrics(workdir) if "eval/miou" in line and line["step"] <= step]
  return [(line["step"], line["eval/miou"]) for line in lines]
