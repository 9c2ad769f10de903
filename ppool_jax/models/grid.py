"""Where a feature's cells lie in the image: what output strides, dilation and upsampling follow from."""

from __future__ import annotations

from typing import NamedTuple


class Grid(NamedTuple):
  """The cells of a feature along one axis of the image (both are alike).

  Attributes:
    stride: pixels from one cell to the next.
    offset: the pixel that the first cell is centred on; (stride - 1) / 2 if cells tile the image.
    dilation: the rate of the layers that follow, above 1 where strides were removed: the elements they
      read are `stride * dilation` pixels apart, as they were in the network with its strides.
  """

  stride: int = 1
  offset: float = 0.0
  dilation: int = 1

  @property
  def multiple(self) -> int:
    """What the image's sides must divide for dilated layers to fall on whole cells."""
    return self.stride * self.dilation

  def window(self, size: int, stride: int = 1, padding: int = 0, limit: int | None = None) -> Grid:
    """The grid after a layer with square windows.

    Args:
      size: of the window.
      stride: of the layer.
      padding: cells before the first.
      limit: the output stride that is not exceeded: beyond it the stride is removed and what
        follows dilated in its place ("atrous").
    """
    offset = self.offset + self.multiple * ((size - 1) / 2 - padding)
    if limit is not None and self.stride * stride > limit:
      return Grid(self.stride, offset, self.dilation * stride)
    return Grid(self.stride * stride, offset, self.dilation)
