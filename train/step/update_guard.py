"""The update guard: rejects an update that must not be applied, inside the compiled step.

An update is rejected where the loss, the gradient or the new parameters are not finite, or where the loss or
the gradient is too large compared with the latest ones (as `optax.apply_if_finite`, with spikes and without
counting). All devices see the same sums over the global batch, so they agree.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

ACTIONS = ("stop", "skip", "rollback")
REJECTED = "guard/rejected"
"""The metric that is 1 where an update was rejected."""


class TrainingDiverged(ArithmeticError):
  """Updates were rejected, and the config says to stop.

  Attributes:
    step: of the update that was rejected last.
  """

  def __init__(self, message: str, step: int):
    super().__init__(message)
    self.step = step


class UpdateGuard(NamedTuple):
  """The part of `config.guard` that the compiled step needs.

  Attributes:
    action: with "skip" the training continues after a rejected update; with "stop" and "rollback" the state
      stays as it was before that step, whatever comes after, until the host has handled it.
    loss_spike_factor, gradient_spike_factor: a loss or gradient norm of more than this times its median
      over the last `window` steps is rejected; 0: none is too large.
    window: in steps.
  """

  action: str = "stop"
  loss_spike_factor: float = 0.0
  gradient_spike_factor: float = 0.0
  window: int = 64

  def initial_state(self) -> dict:
    """What the guard keeps in the training state, at step 0."""
    state = {name: jnp.full((self.window,), jnp.nan, jnp.float32) for name in self.limits}
    return state if self.action == "skip" else {**state, "rejected": jnp.zeros((), bool)}

  @property
  def limits(self) -> dict[str, float]:
    """The largest allowed multiple of the median, by metric; metrics without a limit are left out."""
    limits = {"loss": self.loss_spike_factor, "gradient_norm": self.gradient_spike_factor}
    return {name: limit for name, limit in limits.items() if limit}

  def check(self, state: dict, metrics: dict, updated: Any) -> tuple[jax.Array, dict, dict]:
    """Decides on an update: (whether it is rejected, the guard's next state, more metrics).

    Args:
      state: of the guard.
      metrics: with loss and gradient_norm, over the global batch.
      updated: parameters and running statistics after the update.
    """
    norm = optax.tree.norm(updated)
    finite = jnp.isfinite(metrics["loss"] + metrics["gradient_norm"] + norm)
    rejected = ~finite | state.get("rejected", False)
    ratios, new_state = {}, {}
    for name, limit in self.limits.items():
      # NaN, which exceeds nothing, until the window is full.
      ratios[f"guard/{name}_ratio"] = ratio = metrics[name] / jnp.median(state[name])
      rejected |= ratio > limit
      new_state[name] = jnp.append(state[name][1:], metrics[name])
    return rejected, new_state, {REJECTED: rejected.astype(jnp.float32), **ratios}

  def select(self, rejected: jax.Array, old: Any, new: Any) -> Any:
    """The next TrainState: `new`, or `old` where the update was rejected."""
    step, flag = new.step, {}
    if self.action != "skip":
      step, flag = jnp.where(rejected, old.step, step), {"rejected": rejected}
    old = old.replace(guard={key: old.guard[key] for key in new.guard})
    selected = jax.tree.map(lambda before, after: jnp.where(rejected, before, after), old, new)
    return selected.replace(step=step, guard={**selected.guard, **flag})


DEFAULT = UpdateGuard()


def make_guard(config) -> UpdateGuard:
  """The guard that `config.guard` describes.

  Raises:
    ValueError: an unknown action, a negative number, or a window of no steps.
  """
  if config.action not in ACTIONS:
    raise ValueError(f"guard.action: expected one of {', '.join(ACTIONS)}, got {config.action!r}")
  for name in ("loss_spike_factor", "gradient_spike_factor"):
    if not (config[name] == 0 or config[name] > 1):
      raise ValueError(f"guard.{name}: expected 0 or more than 1 times the median, got {config[name]}")
  for name, minimum in (("window", 1), ("rollback_steps", 0), ("max_rejected", 0)):
    if config[name] < minimum:
      raise ValueError(f"guard.{name}: expected at least {minimum}, got {config[name]}")
  return UpdateGuard(config.action, config.loss_spike_factor, config.gradient_spike_factor, config.window)
