"""From what a config says of pooling to a factory of layers.

A network's `pool` is a name, a `(name, kwargs)` pair, a factory `(window_shape, strides, padding,
name) -> module`, or a dict from stage name to one of these with "default" for the other stages. The
`alpha` of "ppool" may be a number, a factory, a name of `ALPHAS` or a `(name, kwargs)` pair.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import flax.linen as nn

from ppool_jax.layers.alpha import Learned, SideBranch
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
from ppool_jax.layers.ranges import Exponential

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

ALPHAS: dict[str, Callable[..., nn.Module]] = {
  # The paper's: linear in alpha from 20, capped at 35.
  "side_branch": SideBranch,
  # Its output is log alpha, from 3, where pooling still responds to alpha.
  "log_side_branch": functools.partial(
    SideBranch, initial=3.0, range_map=Exponential(), input_scale=1.0, normalise=True
  ),
  # log alpha itself is learned, one a channel or one a layer.
  "channel": functools.partial(Learned, initial=3.0, per="channel", range_map=Exponential()),
  "layer": functools.partial(Learned, initial=3.0, per="layer", range_map=Exponential()),
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
  kwargs = dict(kwargs)
  if name == "ppool" and isinstance(kwargs.get("alpha"), str | tuple | list):
    kwargs["alpha"] = alpha_factory(kwargs["alpha"])
  return functools.partial(POOLS[name], **kwargs)


def alpha_factory(alpha: str | tuple[str, Mapping]) -> Callable[..., nn.Module]:
  """The alpha source that a name of `ALPHAS`, or `(name, kwargs)`, means.

  Raises:
    ValueError, TypeError: unknown name or keyword, with the ones that exist.
  """
  name, kwargs = (alpha, {}) if isinstance(alpha, str) else (*alpha, {})[:2]
  if name not in ALPHAS:
    raise ValueError(f"alpha: expected a number, a factory or one of {', '.join(ALPHAS)}, got {name!r}")
  source = functools.partial(ALPHAS[name], **kwargs)
  options = [f.name for f in dataclasses.fields(source.func) if f.init and f.name not in _GEOMETRY]
  for key in kwargs:
    if key not in options:
      raise TypeError(f"alpha: {name!r} takes {', '.join(options)}, got {key!r}")
  return source
