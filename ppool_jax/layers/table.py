"""From what a config says of pooling to a factory of layers.

A network's `pool` is a name, a `(name, kwargs)` pair, a factory `(window_shape, strides, padding,
name) -> module`, or a dict from stage name to one of these with "default" for the other stages.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import flax.linen as nn

from ppool_jax.layers.baselines import (
  AllConvPool,
  AvgPool,
  DetailPreservingPool,
  GatedPool,
  LpPool,
  MaxPool,
  MixedPool,
  SoftPool,
  StridedPool,
)
from ppool_jax.layers.polynomial import PolynomialPool

POOLS: dict[str, type[nn.Module]] = {
  "max": MaxPool,
  "avg": AvgPool,
  "lp": LpPool,
  "soft": SoftPool,
  "mixed": MixedPool,
  "gated": GatedPool,
  "dpp": DetailPreservingPool,
  "strided": StridedPool,
  "allconv": AllConvPool,
  "ppool": PolynomialPool,
}

_GEOMETRY = ("window_shape", "strides", "padding", "name", "parent")


def pool_factory(pool, stage: str | None = None) -> Callable[..., nn.Module]:
  """The factory that `pool` means at `stage`.

  Args:
    pool: see the module's docstring.
    stage: the stage's name, such as "pool3", if `pool` may be a dict.

  Returns:
    A callable with keywords window_shape, strides, padding and name that returns a module.

  Raises:
    TypeError, ValueError: unknown name, keyword or stage, with the ones that exist.
  """
  if isinstance(pool, Mapping):
    if stage not in pool and "default" not in pool:
      raise ValueError(f'pool: no entry for stage {stage!r} and no "default" in {sorted(pool)}')
    return pool_factory(pool.get(stage, pool.get("default")))
  if isinstance(pool, str):
    pool = (pool, {})
  if isinstance(pool, tuple | list) and len(pool) == 2 and isinstance(pool[0], str):
    return _named(pool[0], pool[1])
  if callable(pool) and not isinstance(pool, nn.Module):
    return pool
  raise TypeError(f"pool: expected a name, (name, kwargs), a factory or a dict of stages, got {pool!r}")


def _named(name: str, kwargs: Mapping) -> Callable[..., nn.Module]:
  if name not in POOLS:
    raise ValueError(f"pool: expected one of {', '.join(POOLS)}, got {name!r}")
  options = [f.name for f in dataclasses.fields(POOLS[name]) if f.init and f.name not in _GEOMETRY]
  for key in kwargs:
    if key not in options:
      raise TypeError(f"pool: {name!r} takes {', '.join(options) or 'no options'}, got {key!r}")
  return functools.partial(POOLS[name], **kwargs)
