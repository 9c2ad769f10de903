"""Pooling as pure functions of arrays.

Every pooling but `strided_pool` and `conv_pool` takes `x`, its own parameters if it has any, then
`window_shape`, `strides` and `padding`:

* `x`: `[..., *spatial, channels]`, floating; 1 to 3 spatial axes, any number of batch axes or none.
* `window_shape`: one positive integer for each spatial axis.
* `strides`: one positive integer for each spatial axis, or None for all ones.
* `padding`: "SAME", "VALID" or a (low, high) pair for each spatial axis. Padding is in no window: a window at
  the border has fewer elements.

It returns `[..., *out, channels]` in x's dtype and computes in float32 for 16-bit x (`conv_pool`: in x's
dtype). A bad argument raises a TypeError or ValueError whose message has the argument's name, its value and
what was expected.
"""

from ppool_jax.pooling.average import avg_pool
from ppool_jax.pooling.dpp import detail_preserving_pool
from ppool_jax.pooling.lp import lp_pool
from ppool_jax.pooling.max import max_pool
from ppool_jax.pooling.mixed import gated_pool, mixed_pool
from ppool_jax.pooling.polynomial import polynomial_pool
from ppool_jax.pooling.soft import soft_pool
from ppool_jax.pooling.strided import conv_pool, strided_pool

__all__ = [
  "avg_pool",
  "conv_pool",
  "detail_preserving_pool",
  "gated_pool",
  "lp_pool",
  "max_pool",
  "mixed_pool",
  "polynomial_pool",
  "soft_pool",
  "strided_pool",
]
