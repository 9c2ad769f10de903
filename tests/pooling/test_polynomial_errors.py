"""Errors for bad arguments of `polynomial_pool` name the argument, its value and what was expected."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax import max_pool, polynomial_pool

X = np.ones((2, 6, 6, 3), np.float32)

# What differs from a good call, the exception, and words that its message must hold.
BAD_CALLS = {
  "integer x": ({"x": np.ones((2, 6, 6, 3), np.int32)}, TypeError, ("x:", "floating", "int32")),
  "complex x": ({"x": np.ones((2, 6, 6, 3), np.complex64)}, TypeError, ("x:", "floating", "complex64")),
  "boolean x": ({"x": np.ones((2, 6, 6, 3), bool)}, TypeError, ("x:", "floating", "bool")),
  "x a list": ({"x": [[1.0, 2.0]]}, TypeError, ("x:", "floating", "list")),
  "x None": ({"x": None}, TypeError, ("x:", "floating", "None")),
  "x with too few axes": ({"x": np.ones((6, 6), np.float32)}, ValueError, ("x:", "2 spatial axes", "(6, 6)")),
  "negative alpha": ({"alpha": -1.5}, ValueError, ("alpha:", ">= 0", "-1.5")),
  "negative integer alpha": ({"alpha": -2}, ValueError, ("alpha:", ">= 0", "-2")),
  "alpha -inf": ({"alpha": -np.inf}, ValueError, ("alpha:", ">= 0", "-inf")),
  "alpha NaN": ({"alpha": np.nan}, ValueError, ("alpha:", ">= 0", "nan")),
  "NumPy alpha NaN": ({"alpha": np.array([1, np.nan, 2])}, ValueError, ("alpha:", ">= 0", "nan")),
  "NumPy alpha < 0": ({"alpha": np.float32([1, -3, 2])}, ValueError, ("alpha:", ">= 0", "-3")),
  "alpha a string": ({"alpha": "max"}, TypeError, ("alpha:", "real", "max")),
  "alpha None": ({"alpha": None}, TypeError, ("alpha:", "real", "None")),
  "alpha a list, negative": ({"alpha": [1.0, -1.0, 2.0]}, (TypeError, ValueError), ("alpha:", "-1.0")),
  "complex alpha": ({"alpha": 1j}, TypeError, ("alpha:", "real", "1j")),
  "alpha of x's shape": (
    {"alpha": jnp.ones((2, 6, 6, 3))},
    ValueError,
    ("alpha:", "(2, 3, 3, 3)", "(2, 6, 6, 3)"),
  ),
  "alpha of five axes": (
    {"alpha": jnp.ones((1,) * 5)},
    ValueError,
    ("alpha:", "(2, 3, 3, 3)", "(1, 1, 1, 1, 1)"),
  ),
  "alpha of 2 channels": ({"alpha": jnp.ones(2)}, ValueError, ("alpha:", "broadcasts", "(2,)")),
  "window an integer": ({"window_shape": 2}, TypeError, ("window_shape:", "tuple", "2")),
  "window of floats": ({"window_shape": (2.0, 2.0)}, TypeError, ("window_shape:", "integers", "2.0")),
  "window 0": ({"window_shape": (0, 2)}, ValueError, ("window_shape:", "positive", "(0, 2)")),
  "empty window": ({"window_shape": ()}, ValueError, ("window_shape:", "1 to 3", "()")),
  "window of 4 axes": ({"window_shape": (1,) * 4}, ValueError, ("window_shape:", "1 to 3", "(1, 1, 1, 1)")),
  "window too large": ({"window_shape": (7, 2)}, ValueError, ("window_shape:", "(7, 2)", "larger", "axis 0")),
  "padded, too large": (
    {"window_shape": (2, 9), "padding": ((0, 0), (1, 1))},
    ValueError,
    ("window_shape:", "(2, 9)", "larger", "axis 1", "9 > 1 + 6 + 1"),
  ),
  "one stride": ({"strides": (2,)}, ValueError, ("strides:", "2 numbers", "(2,)")),
  "stride 0": ({"strides": (0, 1)}, ValueError, ("strides:", "positive", "(0, 1)")),
  "strides an integer": ({"strides": 2}, TypeError, ("strides:", "tuple", "2")),
  "strides of booleans": ({"strides": (True, True)}, TypeError, ("strides:", "integers", "True")),
  "unknown padding": ({"padding": "FULL"}, ValueError, ("padding:", "SAME", "VALID", "FULL")),
  "padding an integer": ({"padding": 1}, TypeError, ("padding:", "pairs", "1")),
  "padding of integers": ({"padding": (1, 1)}, TypeError, ("padding:", "pairs", "(1, 1)")),
  "fractional padding": ({"padding": ((0, 0.7), (0, 0))}, TypeError, ("padding:", "pairs", "0.7")),
  "padding of text": ({"padding": ["01", "01"]}, TypeError, ("padding:", "pairs", "'01'")),
  "one padding pair": ({"padding": ((0, 1),)}, ValueError, ("padding:", "2 ", "((0, 1),)")),
  "padding = window": ({"padding": ((0, 0), (0, 2))}, ValueError, ("padding:", "window", "((0, 0), (0, 2))")),
  "padding < 0": ({"padding": ((0, 0), (-1, 0))}, ValueError, ("padding:", "0 <=", "((0, 0), (-1, 0))")),
  "floor 0": ({"floor": 0.0}, ValueError, ("floor:", "[2**-60, 1)", "0.0")),
  "floor too small": ({"floor": 1e-40}, ValueError, ("floor:", "[2**-60, 1)", "1e-40")),
  "floor 1": ({"floor": 1.0}, ValueError, ("floor:", "[2**-60, 1)", "1.0")),
  "floor NaN": ({"floor": np.nan}, ValueError, ("floor:", "[2**-60, 1)", "nan")),
  "floor an array": ({"floor": np.ones(2)}, (TypeError, ValueError), ("floor:", "[2**-60, 1)")),
  "unknown shift": ({"shift": "batch"}, ValueError, ("shift:", "channel", "tensor", "batch")),
  "shift True": ({"shift": True}, ValueError, ("shift:", "channel", "True")),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_errors_name_the_bad_argument(name):
  """The contract: TypeError or ValueError naming the argument, its value and what was expected."""
  change, error, words = BAD_CALLS[name]
  call = {"x": X, "alpha": 1.0, "window_shape": (2, 2), "strides": (2, 2), "padding": "VALID"} | change
  with pytest.raises(error, match=f"^{re.escape(words[0])}") as raised:
    polynomial_pool(**call)
  for word in words[1:]:
    assert word in str(raised.value)


@pytest.mark.parametrize(
  "name", [name for name in BAD_CALLS if not {"alpha", "floor", "shift"} & {*BAD_CALLS[name][0]}]
)
def test_max_pool_refuses_the_same(name):
  """Max pooling validates its input and its geometry in the same way."""
  change, error, words = BAD_CALLS[name]
  call = {"x": X, "window_shape": (2, 2), "strides": (2, 2), "padding": "VALID"} | change
  with pytest.raises(error, match=f"^{re.escape(words[0])}"):
    max_pool(**call)


def test_refused_while_tracing_too():
  """Shapes are known under jit, so an alpha of a wrong shape raises the same error there."""
  with pytest.raises(ValueError, match=r"^alpha: .*\(2, 3, 3, 3\).*\(5,\)"):
    jax.jit(lambda a: polynomial_pool(X, a, (2, 2), (2, 2)))(jnp.ones(5))


@pytest.mark.parametrize(
  "alpha", [2, np.float64(2), np.int32(2), np.full(3, 2), jnp.int32(2), jnp.bfloat16(2)]
)
def test_numbers_of_any_kind_are_accepted(alpha):
  """alpha is a number or a real array of any type; x may be a NumPy array."""
  x = np.float32(np.random.default_rng(0).uniform(size=X.shape))
  y = polynomial_pool(x, alpha, (2, 2), (2, 2))
  chex.assert_type(y, np.float32)
  expected = polynomial_pool(jnp.asarray(x), 2.0, [2, 2], [2, 2], [(0, 0), (0, 0)])
  chex.assert_trees_all_equal(y, expected, strict=True)
