"""Heads: from a backbone's features to class scores at the same resolution."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

_SMALL = nn.initializers.normal(0.01)


class LinearHead(nn.Module):
  """A 1x1 classifier: `[N, h, w, C]` to float32 `[N, h, w, num_classes]`."""

  num_classes: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x, train: bool = False, places=None) -> jax.Array:
    return _classify(x, self.num_classes, self.dtype)


class FullyConvolutionalHead(nn.Module):
  """fc6 (3x3) and fc7 (1x1) as convolutions with dropout, then the classifier.

  VGG16-20M of DeepLab-LargeFOV without dilation, as in the authors' networks: 1024 filters each.
  """

  num_classes: int
  features: int = 1024
  dropout: float = 0.5
  dtype: Any = None

  @nn.compact
  def __call__(self, x, train: bool = False, places=None) -> jax.Array:
    for name, window in (("fc6", (3, 3)), ("fc7", (1, 1))):
      conv = nn.Conv(
        self.features, window, dtype=self.dtype, kernel_init=nn.initializers.he_normal(), name=name
      )
      x = ExampleDropout(self.dropout, name=f"{name}_dropout")(nn.relu(conv(x)), train, places)
    return _classify(x, self.num_classes, self.dtype)


def _classify(x, num_classes: int, dtype) -> jax.Array:
  """The 1x1 classifier, as a submodule of the head that calls it."""
  scores = nn.Conv(num_classes, (1, 1), dtype=dtype, kernel_init=_SMALL, name="classifier")(x)
  return scores.astype(jnp.float32)


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


HEADS = {"linear": LinearHead, "fc": FullyConvolutionalHead}
