"""The optimizer and the learning rate schedule of a config, with parameter groups by regular expression.

Each group of `config.optimizer.groups` has a pattern over parameter paths ("backbone/conv1_1/bias"), a
multiplier of the learning rate and of the weight decay, and an optimizer. Among the groups whose pattern
matches a parameter, the one with the highest `precedence` (default 0) takes it; there must be exactly one.
"""

from __future__ import annotations

import re

import flax
import jax.numpy as jnp
import optax

OPTIMIZERS = ("sgd", "caffe_sgd", "adam")
SCHEDULES = ("poly", "step", "constant")


def make_schedule(config, steps: int) -> optax.Schedule:
  """The learning rate at each step.

  kind "poly": learning_rate * (1 - step / end)^power; "step": learning_rate * factor^(boundaries passed);
  "constant". All start with a linear warm-up over `warmup` steps.

  Args:
    config: `config.schedule`; its `steps` is the end of "poly".
    steps: of the training; the end of "poly" where `config.steps` is 0.

  Raises:
    ValueError: an unknown kind.
  """
  if config.kind == "poly":
    schedule = _poly(config.learning_rate, config.power, config.steps or steps)
  elif config.kind == "step":
    factors = dict.fromkeys(config.boundaries, float(config.factor))
    schedule = optax.piecewise_constant_schedule(config.learning_rate, factors)
  elif config.kind == "constant":
    schedule = optax.constant_schedule(config.learning_rate)
  else:
    raise ValueError(f"schedule.kind: expected one of {', '.join(SCHEDULES)}, got {config.kind!r}")
  if not config.warmup:
    return schedule
  return lambda step: schedule(step) * jnp.minimum(1.0, (step + 1) / config.warmup)


def _poly(learning_rate: float, power: float, steps: int) -> optax.Schedule:
  # optax.polynomial_schedule is NaN at its end, where the compiler may round 1 - steps / steps below zero.
  return lambda step: learning_rate * (jnp.maximum(steps - step, 0) / steps) ** power


def make_optimizer(config, schedule: optax.Schedule, params) -> optax.GradientTransformation:
  """Returns the transformation from gradients, summed over the global batch, to updates.

  Args:
    config: `config.optimizer`, with groups, momentum, weight_decay and clip_norm (the largest norm of a
      group's gradient; 0: no clipping). Each group is clipped by its own norm, so that a large gradient of
      alpha (the paper's branch multiplies its input by 100) does not slow down the rest of the network.
    schedule: the learning rate at each step.
    params: the parameters, or their shapes.

  Raises:
    ValueError: a parameter in no group or in several; a group with an unknown key or optimizer.
  """
  groups = {name: dict(group) for name, group in config.groups.items()}
  transforms = {name: _group(name, group, config, schedule) for name, group in groups.items()}
  precedence = {name: group.get("precedence", 0) for name, group in groups.items()}
  labels = group_labels(params, {name: group["pattern"] for name, group in groups.items()}, precedence)
  for name, group in groups.items():
    if precedence[name] and name not in flax.traverse_util.flatten_dict(labels).values():
      raise ValueError(f"optimizer.groups.{name}.pattern: no parameter matches {group['pattern']!r}")
  return optax.multi_transform(transforms, labels)


def group_labels(params, patterns: dict[str, str], precedence: dict[str, int] | None = None):
  """Returns the name of the group of every parameter, as a tree like `params`.

  Args:
    params: the parameters, or their shapes.
    patterns: a regular expression for each group, over paths.
    precedence: of each group; default 0. A parameter belongs to the matching group with the highest.

  Raises:
    ValueError: a parameter in no group or in several of the same precedence.
  """
  labels, precedence = {}, precedence or {}
  for name, pattern in patterns.items():
    try:
      re.compile(pattern)
    except re.error as error:
      raise ValueError(
        f"optimizer.groups.{name}.pattern: {pattern!r} is no regular expression: {error}"
      ) from None
  for path in flax.traverse_util.flatten_dict(params, sep="/"):
    matching = [name for name, pattern in patterns.items() if re.fullmatch(pattern, path)]
    highest = max((precedence.get(name, 0) for name in matching), default=0)
    groups = [name for name in matching if precedence.get(name, 0) == highest]
    if len(groups) != 1:
      raise ValueError(
        f"optimizer.groups: expected {path!r} in exactly one group, got {groups} of {patterns}"
      )
    labels[path] = groups[0]
  return flax.traverse_util.unflatten_dict(labels, sep="/")


def _group(name: str, group: dict, config, schedule) -> optax.GradientTransformation:
  expected = {"pattern", "lr", "decay", "optimizer"}
  if set(group) - {"precedence"} != expected:
    raise ValueError(f"optimizer.groups.{name}: expected the keys {sorted(expected)}, got {sorted(group)}")
  clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
  decay = optax.add_decayed_weights(config.weight_decay * group["decay"])
  rate = optax.scale_by_learning_rate(lambda step: schedule(step) * group["lr"])
  if group["optimizer"] == "sgd":
    return optax.chain(clip, decay, optax.trace(config.momentum), rate)
  if group["optimizer"] == "caffe_sgd":
    # Caffe's momentum buffer includes the learning rate, v = momentum v + rate g: after the rate drops, old
    # gradients still count with the old rate.
    return optax.chain(clip, decay, rate, optax.trace(config.momentum))
  if group["optimizer"] == "adam":
    return optax.chain(clip, optax.scale_by_adam(), decay, rate)
  raise ValueError(
    f"optimizer.groups.{name}.optimizer: expected one of {', '.join(OPTIMIZERS)}, got {group['optimizer']!r}"
  )
