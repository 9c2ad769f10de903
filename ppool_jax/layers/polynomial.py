"""P-pooling as a layer: an alpha source and `polynomial_pool`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.layers.alpha import Constant, SideBranch
from ppool_jax.layers.remat_cpu import recomputed_on_cpu
from ppool_jax.pooling.platforms import joined
from ppool_jax.pooling.polynomial import pool_joined
from ppool_jax.pooling.validation import floating
from ppool_jax.pooling.windows import windows


class PolynomialPool(nn.Module):
  """Polynomial pooling of `[..., *spatial, channels]` with alpha from a source.

  The alpha map is sown: `apply(..., mutable=["intermediates"])` returns it, broadcast to the output,
  as `intermediates/.../<this layer's name>/alpha`, a tuple with one map a call (under a further
  "alpha" if the source sows values of its own). The ends of the source's range go to the collection
  "alpha_range" likewise. Parameters of the source live under `<this layer's name>/alpha`.
  The reverse pass keeps x, alpha and y; in a CPU's program x alone, and computes alpha again.

  Attributes:
    window_shape, strides, padding: as of `polynomial_pool`.
    alpha: a number, or a factory of the source: a Linen module class, a `functools.partial` of one
      or any callable; called as `alpha(name="alpha")`. An instance is refused: two pools that were
      given the same one would share its parameters.
    floor, shift: as of `polynomial_pool`.
  """

  window_shape: Sequence[int]
  strides: Sequence[int] | None = None
  padding: str | Sequence[tuple[int, int]] = "VALID"
  alpha: float | Callable[..., nn.Module] = SideBranch
  floor: float = 2**-24
  shift: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    geometry = (self.window_shape, self.strides, self.padding)
    source = self._source()
    x = floating("x", x)
    x = joined(windows(x.shape, *geometry), x)

    @recomputed_on_cpu
    def pool(source, x):
      alpha = source(x, *geometry)
      y = pool_joined(x, alpha, *geometry, floor=self.floor, shift=self.shift)
      return y, jnp.broadcast_to(alpha, y.shape)

    y, alpha = pool(source, x)
    self._sow_alpha(alpha)
    ends = getattr(getattr(source, "range_map", None), "ends", (0.0, math.inf))
    if not self.is_initializing():
      self.sow("alpha_range", "ends", jnp.array(ends), reduce_fn=lambda _, last: last, init_fn=tuple)
    return y

  def replace_sown_alpha(self, change: Callable[[jax.Array], jax.Array]) -> None:
    """Replaces the alpha map of the last call by `change` of it, if the map was sown.

    A caller that rearranges the input of this layer, such as a dilated pool, rearranges the map with it.
    """
    if self.is_mutable_collection("intermediates"):
      *earlier, last = self._sown_alpha()
      self._put_alpha((*earlier, change(last)))

  def _sow_alpha(self, alpha_map: jax.Array) -> None:
    """`sow`, which refuses the name of a submodule though it is free in this collection."""
    if self.is_mutable_collection("intermediates"):
      self._put_alpha((*self._sown_alpha(), alpha_map))

  def _sown_alpha(self) -> tuple[jax.Array, ...]:
    sown = self.scope.get_variable("intermediates", "alpha", default=())
    return sown.get("alpha", ()) if isinstance(sown, Mapping) else sown

  def _put_alpha(self, maps: tuple[jax.Array, ...]) -> None:
    sown = self.scope.get_variable("intermediates", "alpha", default=())
    value = {**sown, "alpha": maps} if isinstance(sown, Mapping) else maps
    self.scope.put_variable("intermediates", "alpha", value)

  def _source(self) -> nn.Module:
    if isinstance(self.alpha, nn.Module | str):
      got = repr(self.alpha) if isinstance(self.alpha, str) else f"an instance of {type(self.alpha).__name__}"
      raise TypeError(
        f"alpha: expected a number or a factory such as SideBranch or functools.partial(SideBranch, "
        f"initial=5.0), got {got}"
      )
    if callable(self.alpha):
      return self.alpha(name="alpha")
    return Constant(self.alpha, name="alpha")
