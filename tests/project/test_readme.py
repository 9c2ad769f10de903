"""The README's examples run as they stand."""

import pathlib
import re

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax import PolynomialPool

README = pathlib.Path(__file__).parents[2] / "README.md"


def test_readme_examples_run(capsys):
  """Every Python block of the README, in order, in one namespace; the first prints what it says."""
  blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
  assert len(blocks) >= 2
  namespace = {}
  for block in blocks:
    exec(compile(block, str(README), "exec"), namespace)
  assert capsys.readouterr().out.strip() == "(2, 4, 4, 16) 20.0"
  x = namespace["x"]
  y, _ = namespace["pool"].init_with_output(jax.random.key(2), x)
  assert y.shape == (2, 4, 4, 16)
  assert jnp.all(jnp.isfinite(y))


def test_readme_alpha_source_has_finite_gradients_for_constant_channels():
  """A dead ReLU makes a channel constant, where a standard deviation has no derivative."""
  (block,) = [
    block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "class " in block
  ]
  namespace = {"nn": nn, "jnp": jnp, "PolynomialPool": PolynomialPool}
  exec(compile(block, str(README), "exec"), namespace)
  x = jnp.zeros((1, 4, 4, 2)).at[..., 1].set(jnp.arange(16.0).reshape(4, 4))
  variables = namespace["pool"].init(jax.random.key(0), x)
  loss = lambda variables, x: namespace["pool"].apply(variables, x).sum()  # noqa: E731
  chex.assert_tree_all_finite(jax.grad(loss, (0, 1))(variables, x))
