"""Compiles training steps, and networks up to a stage, for the benchmarks."""

from __future__ import annotations

import time
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from configs.common import default_config, parameter_groups
from train.experiment.experiment import Experiment, init_variables, make_experiment
from train.experiment.run import build_train_step, create_train_state
from train.planning.program_cost import ProgramCost, measure_program
from train.step.parallel import Jit, Pmap


class FlaxMax(nn.Module):
  """Flax's max pooling as a layer."""

  window_shape: tuple
  strides: tuple
  padding: str

  def __call__(self, x):
    return nn.max_pool(x, self.window_shape, self.strides, self.padding)


class Case(NamedTuple):
  """A benchmark case: a network of `models.NETWORKS`, a pool, a dtype, images [batch, *size, 3].

  Attributes:
    pool: a name of `ppool_jax.POOLS`, "ppool:ALPHA_SOURCE", or "flax max".
  """

  network: str
  pool: str
  dtype: str
  size: tuple[int, int]
  batch: int

  def __str__(self) -> str:
    return f"{self.network} {self.pool} {self.dtype}"

  def config(self) -> ml_collections.ConfigDict:
    """The config of a training with CamVid's classes."""
    pool, _, alpha = self.pool.partition(":")
    config = default_config()
    config.data.name, config.data.crop = "camvid", self.size
    config.model.name, config.dtype, config.batch_size = self.network, self.dtype, self.batch
    config.pool = "max" if pool == "flax max" else pool
    if alpha:
      config.alpha.name = alpha
      config.optimizer.groups = parameter_groups(alpha)
    return config

  def experiment(self) -> Experiment:
    experiment = make_experiment(self.config())
    if self.pool != "flax max":
      return experiment
    model = experiment.model
    return experiment._replace(model=model.clone(backbone=model.backbone.clone(pool=FlaxMax)))

  def images(self) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (self.batch, *self.size, 3), np.uint8)


class Step:
  """A whole training step on one device, including update and metrics. A call runs one and waits for it.

  Attributes:
    seconds: compilation time without a cache.
    cost: of the compiled program; its FLOPs are not reliable on a GPU, see `operations`.
  """

  def __init__(self, case: Case):
    config, experiment = case.config(), case.experiment()
    parallel = Pmap(jax.local_devices()[:1])
    state, tx, schedule = create_train_state(experiment, config)
    labels = np.random.default_rng(1).integers(0, 11, (case.batch, *case.size), np.uint8)
    self._batch = parallel.place_batch({"image": case.images(), "label": labels})
    self._state = parallel.place_state(state)
    step = parallel.compile_step(build_train_step(experiment, config, tx, schedule, parallel))
    started = time.perf_counter()
    self._compiled = step.lower(self._state, self._batch).compile()
    self.seconds = time.perf_counter() - started
    self.cost: ProgramCost = measure_program(self._compiled)

  def __call__(self) -> None:
    self._state, metrics = self._compiled(self._state, self._batch)
    jax.block_until_ready((self._state, metrics))


def operations(case: Case) -> float:
  """Floating-point operations of a step, counted in the program lowered for a CPU, on every platform.

  A program compiled for a GPU calls cuDNN and cuBLAS, whose work the compiler does not count, and
  `Lowered.cost_analysis` is None for a GPU or a TPU.
  """
  config, experiment, parallel = case.config(), case.experiment(), Jit(jax.devices("cpu")[:1])
  state, tx, schedule = create_train_state(experiment, config)
  batch = {"image": case.images(), "label": np.zeros((case.batch, *case.size), np.uint8)}
  step = parallel.compile_step(build_train_step(experiment, config, tx, schedule, parallel))
  return step.lower(*parallel.shapes(state, batch)).cost_analysis()["flops"]


def stage_programs(case: Case) -> dict:
  """Forward and backward pass of the backbone from the images to each feature, in the features' order."""
  experiment = case.experiment()
  backbone = experiment.model.backbone
  variables = {name: tree.get("backbone", {}) for name, tree in init_variables(experiment, 0).items()}
  params = variables.pop("params")
  images = jnp.asarray(experiment.preprocess(case.images()))
  names = []

  def features(params, images):
    outputs = backbone.apply({"params": params, **variables}, images)
    names[:] = outputs  # JAX sorts the tree that it returns
    return outputs

  def program(name):
    gradient = jax.grad(lambda *arguments: features(*arguments)[name].astype(jnp.float32).mean())
    compiled = jax.jit(gradient).lower(params, images).compile()
    return lambda: jax.block_until_ready(compiled(params, images))

  jax.eval_shape(features, params, images)
  return {name: program(name) for name in tuple(names)}
