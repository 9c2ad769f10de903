"""A part of a module that a CPU computes again in the reverse pass, of which it keeps the inputs alone.

`jax.checkpoint` alone does not do that there: XLA:CPU takes its barriers away, merges what was to be computed
again with the first time, and begins early what need not wait for a cotangent. A call that is not inlined
stays whole. docs/FORMULATIONS.md has the measurements.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
from flax.core import lift
from flax.linen.transforms import lift_transform
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata


def recomputed_on_cpu(function: Callable) -> Callable:
  """`function(module, x)`, lifted as by `nn.remat` in a CPU's program.

  On other platforms it is left as it is, with the checkpoints it has; so it is where parameters start, and
  for an x with a value, as the call would be compiled anew each time.
  """

  @functools.wraps(function)
  def call(module: nn.Module, x: jax.Array):
    plain = module.is_initializing() or _has_value(x)
    return (function if plain else lift_transform(_lifted, function))(module, x)

  return call


def _has_value(x) -> bool:
  return not isinstance(x, jax.core.Tracer) or x.to_concrete_value() is not None


def _lifted(function):
  def inner(scopes_of, variables_of, variables, rngs, *args):
    def pure(variables, rngs, *args):
      scopes = scopes_of(variables, rngs)
      return function(scopes, *args), variables_of(scopes)

    return lax.platform_dependent(variables, rngs, *args, cpu=_whole(jax.checkpoint(pure)), default=pure)

  return lift.pack(inner, (True,), (True,), (True,), name="recomputed")


def _whole(function: Callable) -> Callable:
  """`function` as one call of a CPU's program, in each of the passes."""

  @jax.jit
  def whole(*args):
    with set_xla_metadata(inlineable="true"):  # the calls within
      return function(*args)

  return set_xla_metadata(inlineable="false")(whole)
