"""What a config describes: data, network, preprocessing. Shared by training, evaluation, prediction."""

from __future__ import annotations

from typing import NamedTuple

import flax
import jax
import jax.numpy as jnp

from ppool_jax import models, weights
from ppool_jax.weights.preprocess import TORCHVISION
from train.data.classes import ClassTable
from train.data.registry import dataset
from train.experiment.pooling_config import pool_of

DTYPES = {"float32": None, "bfloat16": jnp.bfloat16}


class Experiment(NamedTuple):
  """A config brought to life.

  Attributes:
    table: classes of the data set.
    model: the segmenter.
    weights: of the file that training starts from: its variables (empty when training from scratch or
      evaluating), uint8 RGB images to the model's input, and what the backbone is built with for it.
  """

  table: ClassTable
  model: models.Segmenter
  weights: weights.Pretrained

  @property
  def preprocess(self) -> weights.Preprocess:
    return self.weights.preprocess


def make_experiment(config, pretrained: weights.Pretrained | None = None) -> Experiment:
  """Builds what `config` describes.

  Args:
    pretrained: of an earlier run, with or without variables; the weights file is not read then.

  Raises:
    ValueError, FileNotFoundError: an unknown name, or a weights file that does not fit.
  """
  table = dataset(config.data.name).table_of(**config.data.options)
  if config.dtype not in DTYPES:
    raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}, got {config.dtype!r}")
  pretrained = pretrained or _read_weights(config)
  model = models.build(
    config.model.name,
    table.num_classes,
    pool=pool_of(config),
    head=config.model.head or None,
    dtype=DTYPES[config.dtype],
    norm=config.model.norm,
    width=config.model.width,
    **{**pretrained.options, **_options(config)},
  )
  return Experiment(table, model, pretrained)


def _options(config) -> dict:
  """What the config says of the network beyond what every one has."""
  stride = config.model.output_stride
  return {**({"output_stride": stride} if stride else {}), **config.model.options}


def _read_weights(config) -> weights.Pretrained:
  if not config.model.weights:
    return weights.Pretrained({}, TORCHVISION, {})
  return weights.pretrained(models.network_spec(config.model.name).backbone, config.model.weights)


def initial_variables(experiment: Experiment, seed: int) -> dict:
  """Variables at step 0, {"params", "batch_stats"}: random from `seed`, or of the weights file.

  A parameter's random numbers depend on the seed and its path alone, so that networks with different
  pools begin with the same head.
  """
  key = jax.random.key(seed, impl="threefry2x32")
  variables = {"batch_stats": {}, **jax.jit(experiment.model.init)(key, jnp.zeros((1, 32, 32, 3)))}
  for collection, arrays in experiment.weights.variables.items():
    flat = flax.traverse_util.flatten_dict(variables[collection])
    for path, value in flax.traverse_util.flatten_dict(arrays).items():
      flat["backbone", *path] = jnp.asarray(value)
    variables[collection] = flax.traverse_util.unflatten_dict(flat)
  return variables


def open_split(config, split: str):
  """Random access to a split of the config's data set.

  Raises:
    FileNotFoundError, ValueError: not prepared, no such split, or an empty one.
  """
  source = dataset(config.data.name).open(split, **config.data.options)
  if len(source) == 0:
    raise ValueError(f"{config.data.name}: the split {split!r} is empty")
  return source
