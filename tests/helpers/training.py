"""Trainings small enough for tests: vgg_mini on scenes of 32x48 pixels, a few seconds each."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np

from tests.helpers import quick_compilation
from train.data.loader import training_batches
from train.data.transforms.compose import train_transform
from train.experiment.experiment import make_experiment, open_split
from train.experiment.run import create_train_state
from train.step.parallel import Pmap
from train.step.step import make_step
from train.utils.config import load_config

ROOT = pathlib.Path(__file__).parents[2]
OVERRIDES = {
  "steps": 6,
  "batch_size": 8,
  "data.crop": (32, 48),
  "data.options.train": 12,
  "data.options.val": 5,
  "data.options.size": (32, 48),
  "log.every": 1,
  "eval.batch_size": 3,
  "checkpoint.seconds": 0.0,
  "checkpoint.every": 2,
}


def tiny_config(arg: str = "runlocal", **overrides):
  """The quick start's config, made tiny; overrides are spelled "data__crop" for data.crop."""
  config = load_config(f"{ROOT / 'configs/quickstart.py'}:{arg}")
  changes = {**OVERRIDES, **{key.replace("__", "."): value for key, value in overrides.items()}}
  config.update_from_flattened_dict(changes)
  return config


def one_device() -> dict[str, str]:
  """Environment of a program that has one CPU device, and compiles as the test does."""
  return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": quick_compilation.flags()}


def program(arguments: list[str], largest_file: int | None = None, **environment: str) -> subprocess.Popen:
  """Starts `python -m ARGUMENTS` with one CPU device.

  Args:
    largest_file: bytes; writing more fails, as on a full disk.
  """
  env = {**one_device(), "PYTHONPATH": str(ROOT), **environment}
  command = [sys.executable, "-m", *arguments]
  if largest_file:
    command = ["bash", "-c", f'ulimit -f {largest_file // 1024}; exec "$@"', "limited", *command]
  return subprocess.Popen(
    command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
  )


def run(arguments: list[str], largest_file: int | None = None, **environment: str) -> tuple[int, str]:
  """Runs `program` to its end; returns its exit status and output."""
  process = program(arguments, largest_file, **environment)
  output, _ = process.communicate(timeout=300)
  return process.returncode, output


class OneDevice(Pmap):
  """The pmap backend on the first of the simulated devices."""

  def __init__(self):
    super().__init__()
    self.devices = self.devices[:1]

  def compile_step(self, step, inputs=1):
    return jax.pmap(step, "batch", in_axes=(None, *[0] * inputs), out_axes=None, devices=self.devices)

  def place_state(self, state):
    return jax.device_put(state, self.devices[0])


class TinyTraining:
  """Runs of one config, which share their initial state and their compiled steps."""

  def __init__(self, config):
    self.config = config
    self._experiment = make_experiment(config)
    state, self._tx, self._schedule = create_train_state(self._experiment, config)
    self._initial = jax.device_get(state)  # steps donate the arrays that they are given
    self._compiled = {}

  @property
  def initial_params(self):
    return self._initial.params

  def after(self, parallel, steps, perturbation=0.0, grad_accum_steps=1):
    """Parameters and the last metrics after some steps, from initial parameters off by `perturbation`."""
    backend, compiled = self._step(parallel, grad_accum_steps)
    signs = np.random.default_rng(0)
    off = jax.tree.map(
      lambda x: x * np.float32(1 + perturbation * signs.choice([-1, 1], x.shape)), self.initial_params
    )
    state = backend.place_state(self._initial.replace(params=off))
    data = open_split(self.config, "train")
    augment = train_transform(self.config.data, self._experiment.preprocess.mean_rgb)
    size = self.config.batch_size
    for batch in training_batches(data, augment, batch_size=size, seed=0, start=0, stop=steps):
      state, metrics = compiled(state, backend.place_batch(batch))
    return jax.device_get((state.params, metrics))

  def _step(self, parallel, grad_accum_steps):
    if (key := (parallel, grad_accum_steps)) not in self._compiled:
      backend = parallel()
      step = make_step(
        self._experiment.model, self._experiment.preprocess, self._tx, self._schedule, backend,
        normalize="pixel", seed=0, grad_accum_steps=grad_accum_steps,
      )  # fmt: skip
      self._compiled[key] = backend, backend.compile_step(step)
    return self._compiled[key]


def furthest(trees, others):
  """The largest difference of two trees' numbers."""
  pairs = zip(jax.tree.leaves(trees), jax.tree.leaves(others), strict=True)
  return max(np.abs(a - b).max() for a, b in pairs)
