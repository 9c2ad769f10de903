"""Polynomial pooling as a layer: an alpha source and `polynomial_pool`."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ppool_jax.layers.alpha import Constant, SideBranch
from ppool_jax.layers.remat_cpu import remat_on_cpu
from ppool_jax.pooling.geometry import Padding
from ppool_jax.pooling.polynomial import pool_windows, prepare_input


class PolynomialPool(nn.Module):
  """Polynomial pooling of `[..., *spatial, channels]` with alpha from a source.

  The layer sows its alpha map, broadcast to the output: `apply(..., mutable=["intermediates"])` returns it
  as `intermediates/.../<this layer's name>/alpha`, a tuple with one map for each call (under a further
  "alpha" if the source sows values of its own). It sows the bounds of the source's range to the collection
  "alpha_range" in the same way. The source's parameters are under `<this layer's name>/alpha`.
  The reverse pass keeps x, alpha and y. In a CPU's program it keeps x only, and computes alpha again.

  Attributes:
    window_shape, strides, padding: as in `polynomial_pool`.
    alpha: a number, or a factory of the source: a Linen module class, a `functools.partial` of one
      or any callable, called as `alpha(name="alpha")`. An instance is refused, because two pools that got
      the same instance would share its parameters.
    floor, shift: as in `polynomial_pool`.
  """

  window_shape: Sequence[int]
  strides: Sequence[int] | None = None
  padding: Padding = "VALID"
  alpha: float | Callable[..., nn.Module] = SideBranch
  floor: float = 2**-24
  shift: str | None = None

  @nn.compact
  def __call__(self, x: ArrayLike) -> jax.Array:
    geometry = (self.window_shape, self.strides, self.padding)
    source = self._source()
    win, x = prepare_input(x, *geometry)

    @remat_on_cpu
    def pool(source, x):
      alpha = source(x, *geometry)
      y = pool_windows(win, x, alpha, floor=self.floor, shift=self.shift)
      return y, jnp.broadcast_to(alpha, y.shape)

    y, alpha = pool(source, x)
    self._sow_alpha(alpha)
    ends = jnp.array(getattr(getattr(source, "range_map", None), "ends", (0.0, math.inf)))
    if not self.is_initializing():
      self.sow("alpha_range", "ends", ends, reduce_fn=lambda _, last: last, init_fn=lambda: ends)
    return y

  def replace_sown_alpha(self, change: Callable[[jax.Array], jax.Array]) -> None:
    """Replaces the alpha map of the last call by `change` of it, if the map was sown.

    A caller that rearranges this layer's input, as a dilated pool does, rearranges the map with it.
    """
    if self.is_mutable_collection("intermediates"):
      *earlier, last = self._sown_alpha()
      self._put_alpha((*earlier, change(last)))

  def _sow_alpha(self, alpha_map: jax.Array) -> None:
    """As `sow`, which refuses the name of a submodule even though it is free in this collection."""
    if self.is_mutable_collection("intermediates"):
      self._put_alpha((*self._sown_alpha(), alpha_map))

  def _sown_alpha(self) -> tuple[jax.Array, ...]:
    sown = self._intermediates()
    return sown.get("alpha", ()) if isinstance(sown, Mapping) else sown

  def _put_alpha(self, maps: tuple[jax.Array, ...]) -> None:
    sown = self._intermediates()
    value = {**sown, "alpha": maps} if isinstance(sown, Mapping) else maps
    assert self.scope is not None  # as in every call
    self.scope.put_variable("intermediates", "alpha", value)

  def _intermediates(self) -> Mapping | tuple[jax.Array, ...]:
    """What is sown as "alpha": the maps, or a dict that has them beside what the source sowed."""
    assert self.scope is not None  # as in every call
    return self.scope.get_variable("intermediates", "alpha", default=())

  def _source(self) -> nn.Module:
    if isinstance(self.alpha, nn.Module | str):
      got = repr(self.alpha) if isinstance(self.alpha, str) else f"an instance of {type(self.alpha).__name__}"
      raise TypeError(
        f"alpha: expected a number or a factory such as SideBranch or functools.partial(SideBranch, "
        f"initial=5.0), got {got}"
      )
    if callable(self.alpha):
      return self.alpha(name="alpha")
    if not (isinstance(self.alpha, numbers.Real) or hasattr(self.alpha, "dtype")):
      raise TypeError(f"alpha: expected a number or a factory such as SideBranch, got {self.alpha!r}")
    return Constant(self.alpha, name="alpha")
