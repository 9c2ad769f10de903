"""The base class of the hooks that the training loop calls."""

from __future__ import annotations

from train.loop.context import LoopContext
from train.step.step import TrainState


class Hook:
  """Does nothing; subclasses override what they need.

  Args:
    context: of the run.
  """

  def __init__(self, context: LoopContext):
    self._context = context

  def on_start(self, step: int, state: TrainState) -> None:
    """Called before the first step of this start; `step` steps are done."""

  def after_step(self, step: int, state: TrainState) -> TrainState:
    """Called after each step; returns the state to continue with."""
    del step
    return state

  def on_end(self) -> None:
    """Called after the last step of this start."""
