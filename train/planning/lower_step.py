"""Lowers the training step of a config for given devices, without data."""

from __future__ import annotations

import jax
import numpy as np

from train.experiment.experiment import make_experiment
from train.experiment.run import build_optimizer, build_train_step, create_train_state
from train.step.parallel import Jit


def lower_train_step(config, devices, batch_size: int) -> jax.stages.Lowered:
  """Lowers the step that `python -m train` runs, sharded over `devices` by `parallel="jit"`.

  Only shapes are used: neither data nor the devices are needed.

  Args:
    config: of the training.
    devices: of this machine, or of `topology_devices`.
    batch_size: over all devices, a multiple of their number.
  """
  parallel = Jit(devices)
  step, state = _make_step_and_state(config, parallel)
  height, width = config.data.crop
  shapes = {"image": (batch_size, height, width, 3), "label": (batch_size, height, width)}
  arrays = {name: jax.ShapeDtypeStruct(shape, np.uint8) for name, shape in shapes.items()}
  return parallel.compile_step(step).lower(*parallel.shapes(state, arrays))


def check_config(config) -> None:
  """Refuses a config that `python -m train` or `parallel="jit"` would refuse, without compiling anything.

  Raises:
    ValueError: batch_size or grad_accum_steps below 1, "local" batch norm, or an unknown name.
  """
  for name in ("batch_size", "grad_accum_steps"):
    if config[name] < 1:
      raise ValueError(f"{name}: expected at least 1, got {config[name]}")
  if config.model.norm == "local":
    raise ValueError(
      'model.norm: expected "sync" or "frozen", got "local": a plan compiles the step for parallel="jit", '
      'and only "pmap" supports "local"'
    )
  _make_step_and_state(config, Jit(jax.devices()))


def _make_step_and_state(config, parallel: Jit):
  """The step function, and the shapes of its state."""
  experiment = make_experiment(config)
  state = jax.eval_shape(lambda: create_train_state(experiment, config)[0])
  tx, schedule = build_optimizer(config, state.params)
  return build_train_step(experiment, config, tx, schedule, parallel), state
