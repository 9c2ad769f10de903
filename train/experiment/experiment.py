"""Builds the classes, the network and the preprocessing that a config describes."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp

from ppool_jax import models, weights
from ppool_jax.weights.preprocess import TORCHVISION
from train.data.classes import ClassTable
from train.data.registry import get_dataset
from train.experiment.pooling_config import build_pool_spec
from train.step.step import random_key

DTYPES = {"float32": None, "bfloat16": jnp.bfloat16}


class Experiment(NamedTuple):
  """The objects that a config describes.

  Attributes:
    table: classes of the data set.
    model: the segmenter.
    weights: the pretrained weights that training starts from: variables (empty when training from scratch
      and when a run is restored), preprocessing and backbone options.
  """

  table: ClassTable
  model: models.Segmenter
  weights: weights.Pretrained

  @property
  def preprocess(self) -> weights.Preprocess:
    """Maps uint8 RGB images `[N, H, W, 3]` to the model's input."""
    return self.weights.preprocess


def make_experiment(config, pretrained: weights.Pretrained | None = None) -> Experiment:
  """Builds the experiment that `config` describes.

  Args:
    config: the config, with or without resolved pooling.
    pretrained: pretrained weights in place of those in `config.model.weights`, which is then not read.

  Raises:
    ValueError: a name is unknown, or the weights file does not fit the network.
    FileNotFoundError: the weights file does not exist.
  """
  table = get_dataset(config.data.name).class_table(**config.data.options)
  if config.dtype not in DTYPES:
    raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}, got {config.dtype!r}")
  pretrained = pretrained or _load_pretrained(config)
  model = models.build(
    config.model.name,
    table.num_classes,
    pool=build_pool_spec(config),
    head=config.model.head or None,
    dtype=DTYPES[config.dtype],
    norm=config.model.norm,
    width=config.model.width,
    **{**pretrained.options, **_network_options(config)},
  )
  return Experiment(table, model, pretrained)


def _network_options(config) -> dict:
  """The config's keyword arguments of `models.build` that only some networks have."""
  stride = config.model.output_stride
  return {**({"output_stride": stride} if stride else {}), **config.model.options}


def _load_pretrained(config) -> weights.Pretrained:
  if not config.model.weights:
    return weights.Pretrained({}, TORCHVISION, {})
  return weights.pretrained(models.network_spec(config.model.name).backbone, config.model.weights)


def init_variables(experiment: Experiment, seed: int) -> dict:
  """Initializes {"params", "batch_stats"}: random values, and the pretrained backbone if there is one.

  A parameter's random numbers depend on the seed and the parameter's path only, so networks with different
  pools start from the same head.
  """
  key = random_key(seed)
  variables = {"batch_stats": {}, **jax.jit(experiment.model.init)(key, jnp.zeros((1, 32, 32, 3)))}
  for collection, arrays in experiment.weights.variables.items():
    flat: dict[tuple[str, ...], Any] = dict(flax.traverse_util.flatten_dict(variables[collection]))
    for path, value in flax.traverse_util.flatten_dict(arrays).items():
      flat["backbone", *path] = jnp.asarray(value)
    variables[collection] = flax.traverse_util.unflatten_dict(flat)
  return variables


def open_split(config, split: str):
  """Opens a split of the config's data set for random access.

  Raises:
    FileNotFoundError: the data set has not been prepared.
    ValueError: the split does not exist or is empty.
  """
  source = get_dataset(config.data.name).open(split, **config.data.options)
  if len(source) == 0:
    raise ValueError(f"{config.data.name}: the split {split!r} is empty")
  return source
