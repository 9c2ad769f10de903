"""Statistics of the alpha maps that P-pooling sows."""

from __future__ import annotations

import flax
import jax.numpy as jnp


def alpha_maps(sown) -> dict:
  """Maps by unit, "pool1" -> `[N, H, W, C]`, of a collection "intermediates"."""
  maps = {}
  for path, value in flax.traverse_util.flatten_dict(dict(sown.get("intermediates", {}))).items():
    if "alpha" in path:
      maps[path[path.index("alpha") - 1]] = value[-1]
  return maps


def alpha_statistics(sown) -> dict:
  """Scalars by name: "alpha/pool1/mean", ".../low" and ".../high".

  low and high are the fractions of a map at the ends of its source's range, where a clip passes no
  gradient.

  Args:
    sown: the collections "intermediates" and "alpha_range" of one call of a model.
  """
  ends = {
    path[-2]: value
    for path, value in flax.traverse_util.flatten_dict(dict(sown.get("alpha_range", {}))).items()
  }
  statistics = {}
  for unit, alpha in alpha_maps(sown).items():
    low, high = ends[unit]
    statistics[f"alpha/{unit}/mean"] = alpha.mean()
    statistics[f"alpha/{unit}/low"] = jnp.mean(alpha <= low)
    statistics[f"alpha/{unit}/high"] = jnp.mean(alpha >= high)
  return statistics
