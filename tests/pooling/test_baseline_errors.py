"""Errors of the baseline poolings name the bad argument."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax import (
  avg_pool,
  conv_pool,
  gated_pool,
  lp_pool,
  mixed_pool,
  soft_pool,
  strided_pool,
)
from ppool_jax.pooling.depthwise import depthwise_conv
from tests.helpers.baselines import dpp

X = np.ones((2, 6, 6, 3), np.float32)
ARGS = ((2, 2), (2, 2))
K, B = np.ones((3, 3, 3, 4), np.float32), np.ones(4, np.float32)
# A call, the exception, and the words that its message must hold: the first begins it.
BAD_CALLS = {
  "avg of integers": (lambda: avg_pool(X.astype(int), *ARGS), TypeError, "x:|floating|int64"),
  "avg, window": (lambda: avg_pool(X, (7, 2)), ValueError, "window_shape:|larger|(7, 2)"),
  "soft, strides": (lambda: soft_pool(X, (2, 2), (0, 1)), ValueError, "strides:|positive|(0, 1)"),
  "soft, padding": (lambda: soft_pool(X, *ARGS, "FULL"), ValueError, "padding:|SAME|FULL"),
  "p below 1": (lambda: lp_pool(X, 0.5, *ARGS), ValueError, "p:|>= 1|0.5"),
  "p NaN": (lambda: lp_pool(X, [1, np.nan, 2], *ARGS), ValueError, "p:|>= 1|nan"),
  "p None": (lambda: lp_pool(X, None, *ARGS), TypeError, "p:|real|None"),
  "p's shape": (lambda: lp_pool(X, jnp.ones(2), *ARGS), ValueError, "p:|(2, 3, 3, 3)|(2,)"),
  "mix a name": (lambda: mixed_pool(X, "max", *ARGS), TypeError, "mix:|real|max"),
  "mix's shape": (lambda: mixed_pool(X, X, *ARGS), ValueError, "mix:|(2, 3, 3, 3)|(2, 6, 6, 3)"),
  "mix NaN": (lambda: mixed_pool(X, np.nan, *ARGS), ValueError, "mix:|not NaN|nan"),
  "mask a number": (lambda: gated_pool(X, 1.0, *ARGS), TypeError, "mask:|floating|1.0"),
  "mask's shape": (lambda: gated_pool(X, K[:2], *ARGS), ValueError, "mask:|(2, 2, 3)|(2, 3, 3, 4)"),
  "mask a channel short": (lambda: gated_pool(X, X[0, :2, :2, :2], *ARGS), ValueError, "mask:|(2, 2, 2)"),
  "variant": (lambda: dpp("lite")(X, ARGS, 0.0, 0.0), ValueError, "variant:|sym_lite|'lite'"),
  "alpha": (lambda: dpp("sym_lite")(X, ARGS, "a", 0.0), TypeError, "alpha:|real|'a'"),
  "lam": (lambda: dpp("sym_lite")(X, ARGS, 0.0, np.ones(2)), ValueError, "lam:|(2, 3, 3, 3)|(2,)"),
  "no kernel": (lambda: dpp("sym_full")(X, ARGS, 0.0, 0.0), ValueError, "kernel:|(3, 3, 3)|sym_full"),
  "lite kernel": (
    lambda: dpp("sym_lite")(X, ARGS, 0.0, 0.0, X[0]),
    ValueError,
    "kernel:|no kernel|(6, 6, 3)",
  ),
  "full": (
    lambda: dpp("sym_full")(X, ((2, 2), None, ((1, 1), (1, 1))), 0.0, 0.0, K[..., 0]),
    ValueError,
    "variant:|(7, 7)|(6, 6)",
  ),
  "strided by 0": (lambda: strided_pool(X, (2, 0)), ValueError, "strides:|positive|(2, 0)"),
  "strided integers": (lambda: strided_pool(X.astype(int), (2, 2)), TypeError, "x:|floating|int64"),
  "strided by a number": (lambda: strided_pool(X, 2), TypeError, "strides:|tuple|2"),
  "strided by None": (lambda: strided_pool(X, None), TypeError, "strides:|tuple|None"),
  "strided on 4 axes": (lambda: strided_pool(X, (1,) * 4), ValueError, "strides:|1 to 3|(1, 1, 1, 1)"),
  "even kernel": (lambda: conv_pool(X, K[:2], B, (2, 2)), ValueError, "kernel:|odd|(2, 3, 3, 4)"),
  "kernel's channels": (
    lambda: conv_pool(X, K[:, :, :2], B, (2, 2)),
    ValueError,
    "kernel:|3, features|(3, 3, 2",
  ),
  "bias": (lambda: conv_pool(X, K, B[:3], (2, 2)), ValueError, "bias:|(4,)|(3,)"),
  "bias None": (lambda: conv_pool(X, K, None, (2, 2)), TypeError, "bias:|floating|None"),
  "depthwise kernel": (lambda: depthwise_conv(X, K), ValueError, "kernel:|3|(3, 3, 3, 4)"),
  "depthwise kernel of a number": (
    lambda: depthwise_conv(X, X[0, 0, 0, 0]),
    ValueError,
    "kernel:|[*window|()",
  ),
  "depthwise of a number": (lambda: depthwise_conv(X[0, 0, 0, 0], X[0]), ValueError, "x:|spatial|()"),
  "depthwise window": (
    lambda: depthwise_conv(X, np.ones((7, 2, 3))),
    ValueError,
    "window_shape:|larger|(7, 2)",
  ),
  "dilated window": (
    lambda: depthwise_conv(X, np.ones((3, 2, 3)), dilation=(3, 1)),
    ValueError,
    "window_shape:|larger|(3, 2)|7 > 0 + 6 + 0",
  ),
  "dilation 0": (lambda: depthwise_conv(X, X[0], dilation=(0, 1)), ValueError, "dilation:|positive|(0, 1)"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_errors_name_the_bad_argument(name):
  """A bad argument raises an error with its name, its value and what was expected."""
  call, error, words = BAD_CALLS[name]
  first, *others = words.split("|")
  with pytest.raises(error, match=f"^{re.escape(first)}") as raised:
    call()
  for word in others:
    assert word in str(raised.value)
