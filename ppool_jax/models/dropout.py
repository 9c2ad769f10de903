"""Dropout that does not depend on how a batch is divided among devices."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp


class ExampleDropout(nn.Module):
  """Dropout whose mask depends on the "dropout" key and on the example's index in the global batch.

  `nn.Dropout` draws one mask for the whole array, so the mask of an example would change with the number
  of devices.

  Attributes:
    rate: probability with which a unit is dropped, 0 <= rate < 1.
  """

  rate: float

  @nn.compact
  def __call__(self, x: jax.Array, train: bool, example_index: jax.Array | None = None) -> jax.Array:
    """Drops units and scales the others by 1 / (1 - rate).

    Args:
      x: `[N, ...]`.
      train: whether dropout is on; it then needs a "dropout" key.
      example_index: int `[N]`, index of each example in the global batch. None: 0..N-1.

    Returns:
      An array like x.
    """
    if not train or self.rate == 0:
      return x
    example_index = jnp.arange(x.shape[0]) if example_index is None else example_index
    keys = jax.vmap(jax.random.fold_in, (None, 0))(self.make_rng("dropout"), example_index)
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
    return jnp.where(kept, x / (1 - self.rate), 0)
