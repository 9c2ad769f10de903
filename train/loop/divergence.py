"""What happens after a step was held: evidence, and then stop, skip or roll back."""

from __future__ import annotations

import logging
import math
import pathlib
from typing import Any, NamedTuple

from train.distributed import multihost
from train.loop.failure_dump import keep
from train.loop.nan_debug import Diagnosis, first_not_finite
from train.loop.rollback import Rollbacks, RolledBack
from train.step.update_guard import TrainingDiverged, make_guard

_LOG = logging.getLogger("train")
_ADVICE = (
  "Go on by --change with a lower schedule.learning_rate, a warm-up (schedule.warmup), optimizer.clip_norm"
)


class Held(NamedTuple):
  """A step that was held.

  Attributes:
    step: counted from 1.
    values: its metrics.
    batch: what it was held for, as the loader gave it.
    curve: metrics of the steps before.
  """

  step: int
  values: dict[str, float]
  batch: dict
  curve: list[dict]


class Alarm:
  """Called with a held step and the state, returns the state to go on with.

  Args:
    workdir: of the run, for evidence/STEP-batch-INDEX/.
    config: with guard and seed.
    experiment, tx, parallel: of the training.
    rollbacks: so far.
  """

  def __init__(self, workdir: pathlib.Path, config, experiment, tx, parallel, rollbacks: Rollbacks):
    self._folder, self._config, self._rollbacks = workdir / "evidence", config.guard, rollbacks
    self._guard = make_guard(config.guard)
    self._diagnose = Diagnosis(experiment.model, experiment.preprocess, tx, parallel, config.seed)

  def __call__(self, held: Held, state: Any, skipped: int) -> Any:
    """Keeps the evidence, and does what `config.guard.action` says.

    Args:
      skipped: steps of this run that were, this one included.

    Raises:
      TrainingDiverged: the run stops.
      RolledBack: it is to start again, from what `Rollbacks` say.
    """
    why = self._why(held.values)
    index = self._rollbacks.batch(held.step - 1)
    folder = self._folder / f"{held.step}-batch-{index}"
    state, first = self._examined(held, state, why, folder, index)
    where = (
      f"first not finite: {' '.join(filter(None, first.values()))}" if first else "every layer is finite"
    )
    text = f"step {held.step}: {why}; {where}; evidence: {folder}"
    count = skipped if self._guard.action == "skip" else len(self._rollbacks) + 1
    if self._guard.action == "stop":
      raise TrainingDiverged(f"{text}. {_ADVICE} or another guard.action", held.step)
    if count > self._config.max_rejected:
      limit = f"More than guard.max_rejected={self._config.max_rejected} such steps"
      raise TrainingDiverged(f"{text}. {limit}. {_ADVICE}", held.step)
    if self._guard.action == "skip":
      _LOG.warning("STEP %d IS SKIPPED: %s", held.step, text)
      return state
    rollback = self._rollbacks.add(held.step, self._config.rollback_steps)
    raise RolledBack(f"{text}. Back to step {rollback.back_to}; it goes on with batch {index + 1}")

  def _why(self, values: dict[str, float]) -> str:
    for name in ("loss", "gradient_norm"):
      if not math.isfinite(values[name]):
        return f"{name} is {values[name]}"
    for name, limit in self._guard.limits.items():
      if (ratio := values[f"guard/{name}_ratio"]) > limit:
        return f"{name} is {values[name]:.6g}, {ratio:.3g} times the median of the last {self._guard.window}"
    return "the norm of the parameters after it is not finite"

  def _examined(self, held: Held, state, why: str, folder: pathlib.Path, index: int) -> tuple:
    """(the state, `first_not_finite`), with the evidence kept."""
    done, findings, trouble = int(state.step), None, None
    try:
      state, findings = self._diagnose(state, held.batch, held.step - 1)
    except RuntimeError as error:  # memory: the batch in one part may need more than the step
      if multihost.first():
        trouble = str(error)[:500]
      _LOG.warning("the layers of step %d could not be examined: %s", held.step, str(error)[:500])
    first = first_not_finite(findings) if findings else None
    report = {
      "step": held.step,
      "batch": index,
      "why": why,
      "first_not_finite": first,
      "metrics": held.values,
      "curve": held.curve,
      # With "skip" the step after was on its way when this one was looked at.
      "examined_with_state_after": done,
      "trouble": trouble,
      "findings": findings,
    }
    keep(folder, held.batch, state, report)
    return state, first
