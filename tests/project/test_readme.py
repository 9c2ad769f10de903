"""The README's examples run as they stand."""

import pathlib
import re

import jax
import jax.numpy as jnp

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
