"""The last layer of the ImageNet classifiers."""

from __future__ import annotations

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp


def classify(x: jax.Array, num_classes: int, dtype: Any = None) -> jax.Array:
  """The mean over all positions and a dense layer, as a submodule of the network that calls it.

  Args:
    x: `[N, h, w, C]`.

  Returns:
    float32 logits `[N, num_classes]`.

  Raises:
    AssertionError: x of another rank.
  """
  chex.assert_rank(x, 4, custom_message="x: expected [N, h, w, C]")
  scores = nn.Dense(num_classes, dtype=dtype, name="classifier")(x.mean((1, 2)))
  return scores.astype(jnp.float32)
