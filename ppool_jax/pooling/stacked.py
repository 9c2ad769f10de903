"""Large overlapping windows, whose slices are stacked along an axis that reductions run over."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from ppool_jax.pooling.windows import REDUCTIONS, Windows


class StackedWindows(Windows):
  """Windows of any geometry; both views are one array, with the places in an axis before the spatial ones."""

  @property
  def _axis(self) -> int:
    return -len(self.out) - 2

  def _view(self, x):
    stack = np.stack if isinstance(x, np.ndarray) else jnp.stack
    return [stack(self._slices(x), self._axis)]

  def to_input(self, z):
    return jnp.expand_dims(z, self._axis)

  def to_window(self, z):
    return jnp.expand_dims(z, self._axis)

  def kernel_view(self, kernel):
    return [kernel.reshape(self.size, *(1 for _ in self.out), kernel.shape[-1])]

  def reduce(self, reducer, elements):
    return REDUCTIONS[reducer](elements[0], self._axis)

  def sum_input_view(self, inputs):
    return jnp.sum(inputs[0], self._axis)
