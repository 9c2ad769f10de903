"""Dropout that does not depend on how a batch is divided among devices."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp


class ExampleDropout(nn.Module):
  """Dropout whose mask depends on the "dropout" key and the example's place in the global batch.

  `nn.Dropout` draws one mask for the array it sees, so that the same batch over more devices drops
  other units.
  """

  rate: float

  @nn.compact
  def __call__(self, x: jax.Array, train: bool, places: jax.Array | None = None) -> jax.Array:
    """Args: x `[N, ...]`; places int `[N]`, 0..N-1 if not given."""
    if not train or self.rate == 0:
      return x
    places = jnp.arange(x.shape[0]) if places is None else places
    keys = jax.vmap(jax.random.fold_in, (None, 0))(self.make_rng("dropout"), places)
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
    return jnp.where(kept, x / (1 - self.rate), 0)
