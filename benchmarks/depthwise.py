"""Times depthwise convolution as shifted products against XLA's grouped convolution.

python -m benchmarks.depthwise
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from benchmarks import arguments
from benchmarks.timing import interleaved
from ppool_jax.models.network import Depthwise
from train.planning.machine import describe_machine
from train.utils.errors import report_errors

_SHAPE = (2, 38, 38, 728)  # Xception's middle flow on images of 608


def grouped(kernel, x, dilation: int):
  """The same function by `lax.conv_general_dilated`; kernel `[3, 3, C]`."""
  return jax.lax.conv_general_dilated(
    x, kernel[:, :, None], (1, 1), [(dilation, dilation)] * 2, rhs_dilation=(dilation,) * 2,
    dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=x.shape[-1],
  )  # fmt: skip


def shifted(kernel, x, dilation: int):
  return Depthwise(dilation).apply({"params": {"kernel": kernel}}, x)


def main() -> None:
  arguments.parser("depthwise", __doc__).parse_args()
  x = jax.random.normal(jax.random.key(0), _SHAPE)
  kernel = jax.random.normal(jax.random.key(1), (3, 3, _SHAPE[-1]))
  print(f"{describe_machine()['device']}, x = {list(_SHAPE)}, medians in milliseconds")
  for dilation in (1, 2):
    calls = {}
    for name, function in (("shifted", shifted), ("grouped", grouped)):
      forward = jax.jit(lambda k, x, f=function, d=dilation: f(k, x, d))
      both = jax.jit(jax.grad(lambda k, x, f=function, d=dilation: jnp.sum(f(k, x, d) ** 2), (0, 1)))
      for kind, compiled in (("forward", forward), ("forward + backward", both)):
        calls[name, kind] = lambda c=compiled: jax.block_until_ready(c(kernel, x))
    times = interleaved(calls, rounds=5)
    for kind in ("forward", "forward + backward"):
      a, b = times["shifted", kind]["ms"], times["grouped", kind]["ms"]
      print(f"dilation {dilation}, {kind}: shifted {a:.1f}, grouped {b:.1f}, ratio {b / a:.1f}")


if __name__ == "__main__":
  with report_errors():
    main()
