"""Dropout of the fc head: its mask depends on the key and the example, and it preserves the mean."""

import functools

import chex
import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax.models.heads import FullyConvolutionalHead
from tests.helpers.networks import IMAGES, KEY, apply, initialize, tiny


def test_dropout_depends_on_key_and_example_index():
  """It does not depend on the batching, and is off without `train`."""
  model = tiny(head=FullyConvolutionalHead(3, features=8))
  variables = initialize(model)

  @jax.jit
  def dropped(x, example_index, seed):
    rngs = {"dropout": jax.random.key(seed)}
    return model.apply(variables, x, train=True, example_index=example_index, rngs=rngs)

  whole = dropped(IMAGES, None, 1)
  for pair in ([0, 1], [2, 3]):
    half = dropped(IMAGES[jnp.array(pair)], jnp.array(pair), 1)
    chex.assert_trees_all_close(half, whole[jnp.array(pair)], rtol=1e-5, atol=1e-7, strict=True)
  same = dropped(IMAGES[jnp.array([0, 0])], jnp.array([0, 5]), 1)
  still = apply(model, variables)
  for other in (same[1], dropped(IMAGES[:2], jnp.array([0, 1]), 2)[0], still[0]):
    assert not np.allclose(same[0], other)
  chex.assert_trees_all_equal(apply(model, variables, rngs={"dropout": KEY}), still, strict=True)
  with pytest.raises(flax.errors.InvalidRngError):
    jax.eval_shape(functools.partial(model.apply, train=True), variables, IMAGES)


def test_dropout_preserves_the_mean():
  """Half of the units are 0, the others doubled; fc6 and fc7 drop different units."""
  head, x = FullyConvolutionalHead(2, features=64), jnp.ones((4, 3, 3, 4))
  params = jax.eval_shape(head.init, KEY, x)["params"]
  params = jax.tree.map(lambda p: jnp.full(p.shape, float(p.ndim == 1)), params)
  captured = {"capture_intermediates": True, "mutable": ["intermediates"]}
  seen = apply(head, {"params": params}, x, train=True, rngs={"dropout": jax.random.key(0)}, **captured)[1]
  six, seven = (seen["intermediates"][f"fc{i}_dropout"]["__call__"][0] for i in (6, 7))
  for units in (six, seven):
    assert set(np.unique(units)) == {0.0, 2.0}
    assert np.mean(units) == pytest.approx(1, abs=0.1)
  assert 0.4 < np.mean(six == seven) < 0.6
