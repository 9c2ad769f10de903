"""Makes part of a module keep only its inputs for the reverse pass on a CPU, where jax.checkpoint is ignored.

`jax.checkpoint` alone has no effect on a CPU: XLA:CPU removes its barriers, merges the second computation
with the first, and starts parts of it before their cotangents exist. A call that is not inlined stays whole.
docs/MEASUREMENTS.md has the numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from flax.core import lift
from flax.linen.transforms import lift_transform
from jax import lax
from jax.core import Tracer
from jax.experimental.xla_metadata import set_xla_metadata


def remat_on_cpu(function: Callable) -> Callable:
  """`function(module, x)`, rematerialized as by `nn.remat` in programs for a CPU.

  Programs for other platforms are unchanged, as they respect the checkpoints within `function`. Calls that
  initialize parameters, and calls outside of `jit`, are unchanged too: there each would be compiled anew.
  """

  @functools.wraps(function)
  def call(module: nn.Module, x: jax.Array) -> Any:
    plain = module.is_initializing() or _is_concrete(x)
    return (function if plain else lift_transform(_lifted, function))(module, x)

  return call


def _is_concrete(x) -> bool:
  return not isinstance(x, Tracer) or x.to_concrete_value() is not None


def _lifted(function):
  def inner(scopes_of, variables_of, variables, rngs, *args):
    def pure(variables, rngs, *args):
      scopes = scopes_of(variables, rngs)
      return function(scopes, *args), variables_of(scopes)

    on_cpu = _not_inlined(jax.checkpoint(pure))
    return lax.platform_dependent(variables, rngs, *args, cpu=on_cpu, default=pure)

  return lift.pack(inner, (True,), (True,), (True,), name="remat_on_cpu")


def _not_inlined(function: Callable) -> Callable:
  """`function` as one call of a CPU's program, in each of the passes."""

  @jax.jit
  def whole(*args):
    with set_xla_metadata(inlineable="true"):  # the calls within
      return function(*args)

  return set_xla_metadata(inlineable="false")(whole)
