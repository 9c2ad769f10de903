"""Sampling grids: the pixels of the image on which the positions of a feature map are centered.

Output strides, dilation and the upsampling of scores are computed from them.
"""

from __future__ import annotations

from typing import NamedTuple


class Grid(NamedTuple):
  """The sampling grid of a feature map along one axis of the image; both axes have the same.

  Position i is centered on pixel `offset + stride * i`.

  Attributes:
    stride: distance between neighboring positions in pixels.
    offset: the pixel on which the first position is centered; (stride - 1) / 2 where positions tile the
      image.
    dilation: dilation of the layers that follow. It is above 1 where strides were removed: these layers
      read positions `stride * dilation` pixels apart, as in the network with its strides.
  """

  stride: int = 1
  offset: float = 0.0
  dilation: int = 1

  @property
  def size_divisor(self) -> int:
    """Image sides must be multiples of this number for dilated layers to divide the feature map evenly."""
    return self.stride * self.dilation

  def after_layer(
    self, kernel_size: int, stride: int = 1, padding: int = 0, output_stride: int | None = None
  ) -> Grid:
    """The grid of the output of a layer with square windows.

    Args:
      kernel_size: side of the window.
      stride: of the layer.
      padding: positions before the first.
      output_stride: the largest stride. A layer that would exceed it loses its stride, and the layers
        that follow are dilated instead (atrous convolution).
    """
    offset = self.offset + self.size_divisor * ((kernel_size - 1) / 2 - padding)
    if output_stride is not None and self.stride * stride > output_stride:
      return Grid(self.stride, offset, self.dilation * stride)
    return Grid(self.stride * stride, offset, self.dilation)
