"""Handles rejected steps: writes a failure dump, and then stops, skips or rolls back."""

from __future__ import annotations

import logging
import math
import pathlib

from train.distributed import multihost
from train.loop.context import LoopContext
from train.loop.failure_dump import dump
from train.loop.hook import Hook
from train.loop.metrics import RejectedStep
from train.loop.non_finite_locator import first_non_finite
from train.loop.rollback import RolledBack
from train.step.step import TrainState
from train.step.update_guard import TrainingDiverged, make_guard

_LOG = logging.getLogger("train")
_ADVICE = (
  "Continue with --change and a lower schedule.learning_rate, a warm-up (schedule.warmup) or "
  "optimizer.clip_norm"
)


class DivergenceHandler(Hook):
  """Reads the metrics of every step, and handles the steps that the guard rejected.

  The metrics of a step are read one step late. Those of a state that is about to be saved are read at once:
  only accepted states are saved.
  """

  def __init__(self, context: LoopContext):
    super().__init__(context)
    self._guard = make_guard(context.config.guard)

  def after_step(self, step: int, state: TrainState) -> TrainState:
    """Returns the state to continue with.

    Raises:
      TrainingDiverged: the run stops.
      RolledBack: the run restarts from an earlier step.
    """
    metrics, control = self._context.metrics, self._context.control
    if rejected := metrics.read(control, late=1):
      state = self._handle(rejected, state)
    if self._context.is_checkpoint_due(step) and (rejected := metrics.read(control, late=0)):
      state = self._handle(rejected, state)
    return state

  def _handle(self, rejected: RejectedStep, state: TrainState) -> TrainState:
    """Dumps the rejected step and does what `config.guard.action` says."""
    config, rollbacks = self._context.config.guard, self._context.rollbacks
    reason = self._describe_reason(rejected.values)
    index = rollbacks.batch_index(rejected.step - 1)
    folder = self._context.workdir / "failure_dumps" / f"{rejected.step}-batch-{index}"
    state, first = self._locate_and_dump(rejected, state, reason, folder, index)
    layer = " ".join(filter(None, first.values())) if first else None
    where = f"first non-finite: {layer}" if layer else "every layer is finite"
    text = f"step {rejected.step}: {reason}; {where}; dump: {folder}"
    skip = self._guard.action == "skip"
    count = self._context.metrics.totals["skipped"] if skip else len(rollbacks) + 1
    if self._guard.action == "stop":
      raise TrainingDiverged(f"{text}. {_ADVICE}, or with another guard.action", rejected.step)
    if count > config.max_rejected:
      limit = f"More than guard.max_rejected={config.max_rejected} such steps"
      raise TrainingDiverged(f"{text}. {limit}. {_ADVICE}", rejected.step)
    if skip:
      _LOG.warning("STEP %d IS SKIPPED: %s", rejected.step, text)
      return state
    rollback = rollbacks.add(rejected.step, config.rollback_steps)
    raise RolledBack(f"{text}. Back to step {rollback.resume_step}; it continues with batch {index + 1}")

  def _describe_reason(self, values: dict[str, float]) -> str:
    for name in ("loss", "gradient_norm"):
      if not math.isfinite(values[name]):
        return f"{name} is {values[name]}"
    for name, limit in self._guard.limits.items():
      if (ratio := values[f"guard/{name}_ratio"]) > limit:
        return f"{name} is {values[name]:.6g}, {ratio:.3g} times the median of the last {self._guard.window}"
    return "the norm of the parameters after it is not finite"

  def _locate_and_dump(
    self, rejected: RejectedStep, state: TrainState, reason: str, folder: pathlib.Path, index: int
  ) -> tuple[TrainState, dict | None]:
    """(the state, `first_non_finite`), with the failure dump written."""
    steps_done, findings, error_text = int(state.step), None, None
    try:
      state, findings = self._context.setup.locator(state, rejected.batch, rejected.step - 1)
    except RuntimeError as error:  # out of memory: the locator does not accumulate gradients
      if multihost.is_primary():
        error_text = str(error)[:500]
      _LOG.warning("the layers of step %d could not be examined: %s", rejected.step, str(error)[:500])
    first = first_non_finite(findings) if findings else None
    report = {
      "step": rejected.step,
      "batch": index,
      "reason": reason,
      "first_non_finite": first,
      "metrics": rejected.values,
      "history": rejected.history,
      # With "skip" this can be the state after the next step, which started before these metrics were read.
      "examined_with_state_after": steps_done,
      "error": error_text,
      "findings": findings,
    }
    dump(folder, rejected.batch, state, report)
    return state, first
