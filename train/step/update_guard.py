"""The guard of a training: a step that must not be taken is held, inside the compiled step.

A step is held where its loss, its gradient or what it makes of the parameters is not finite, or where
loss or gradient is too large against the last ones. All devices see the same sums, so they agree.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

ACTIONS = ("stop", "skip", "rollback")
HELD = "guard/held"
"""The metric that is 1 where a step was held."""


class TrainingDiverged(ArithmeticError):
  """Steps were held, and the config says to stop.

  Attributes:
    step: the one that was held last.
  """

  def __init__(self, message: str, step: int):
    super().__init__(message)
    self.step = step


class Guard(NamedTuple):
  """What `config.guard` says of the compiled step.

  Attributes:
    action: "skip" goes on after a held step; with "stop" and "rollback" the state stays what it was
      before the step, whatever comes after, until the host has looked at it.
    loss_spike_factor, gradient_spike_factor: the loss and the norm of the gradient that are held, as
      multiples of their medians over the last `window` steps; 0: none is too large.
    window: steps.
  """

  action: str = "stop"
  loss_spike_factor: float = 0.0
  gradient_spike_factor: float = 0.0
  window: int = 64

  def initial(self) -> dict:
    """What the guard keeps in the state of a training at step 0."""
    state = {name: jnp.full((self.window,), jnp.nan, jnp.float32) for name in self.limits}
    return state if self.action == "skip" else {**state, "held": jnp.zeros((), bool)}

  @property
  def limits(self) -> dict[str, float]:
    """By metric, the largest multiple of the median; of those that have one."""
    limits = {"loss": self.loss_spike_factor, "gradient_norm": self.gradient_spike_factor}
    return {name: limit for name, limit in limits.items() if limit}

  def judge(self, state: dict, metrics: dict, result: Any) -> tuple[jax.Array, dict, dict]:
    """Whether to hold a step: (bool, the guard's next state, more metrics).

    Args:
      state: the guard's.
      metrics: with loss and gradient_norm, sums over the global batch.
      result: parameters and statistics after the step.
    """
    size = optax.tree.norm(result)
    held = ~jnp.isfinite(metrics["loss"] + metrics["gradient_norm"] + size) | state.get("held", False)
    ratios, after = {}, {}
    for name, limit in self.limits.items():
      # NaN, which exceeds nothing, until the window is full.
      ratios[f"guard/{name}_ratio"] = ratio = metrics[name] / jnp.median(state[name])
      held |= ratio > limit
      after[name] = jnp.append(state[name][1:], metrics[name])
    return held, after, {HELD: held.astype(jnp.float32), **ratios}

  def settle(self, held: jax.Array, before: Any, after: Any) -> Any:
    """The next TrainState: `after`, or, of a held step, `before`."""
    step, flag = after.step, {}
    if self.action != "skip":
      step, flag = jnp.where(held, before.step, step), {"held": held}
    kept = jax.tree.map(lambda old, new: jnp.where(held, old, new),
                        before.replace(guard={k: before.guard[k] for k in after.guard}), after)  # fmt: skip
    return kept.replace(step=step, guard={**kept.guard, **flag})


DEFAULT = Guard()


def make_guard(config) -> Guard:
  """The guard of `config.guard`.

  Raises:
    ValueError: an unknown action, a negative number, or a window of no steps.
  """
  if config.action not in ACTIONS:
    raise ValueError(f"guard.action: expected one of {', '.join(ACTIONS)}, got {config.action!r}")
  for name in ("loss_spike_factor", "gradient_spike_factor"):
    if not (config[name] == 0 or config[name] > 1):
      raise ValueError(f"guard.{name}: expected 0 or more than 1 times the median, got {config[name]}")
  for name, least in (("window", 1), ("rollback_steps", 0), ("max_rejected", 0)):
    if config[name] < least:
      raise ValueError(f"guard.{name}: expected at least {least}, got {config[name]}")
  return Guard(config.action, config.loss_spike_factor, config.gradient_spike_factor, config.window)
