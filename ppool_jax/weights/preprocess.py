"""The preprocessing that pre-trained weights expect: channel order, scale, mean and standard deviation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

ArrayT = TypeVar("ArrayT", np.ndarray, jax.Array)


@dataclasses.dataclass(frozen=True)
class Preprocess:
  """Converts RGB images with values 0..255 to the float32 input of a network.

  The result is `(scale * images[..., order] - mean) / std`. Mean and standard deviation have the channel
  order and scale of the result: BGR and 0..255 for Caffe's and Keras's VGG, RGB and 0..1 for torchvision.

  Attributes:
    mean: of each channel.
    std: standard deviation of each channel.
    order: channel order of the result, "RGB" or "BGR".
    scale: factor of the image values.

  Raises:
    ValueError: mean or std are not three finite numbers; std or scale is not positive; another order.
  """

  mean: tuple[float, float, float]
  std: tuple[float, float, float] = (1.0, 1.0, 1.0)
  order: str = "RGB"
  scale: float = 1.0

  def __post_init__(self):
    # Lists, as JSON returns them, become tuples, so that instances compare and hash.
    object.__setattr__(self, "mean", _numbers("mean", self.mean, 3))
    object.__setattr__(self, "std", _numbers("std", self.std, 3, positive=True))
    object.__setattr__(self, "scale", _numbers("scale", [self.scale], 1, positive=True)[0])
    if self.order not in ("RGB", "BGR"):
      raise ValueError(f'order: expected "RGB" or "BGR", got {self.order!r}')

  def __call__(self, images: ArrayT) -> ArrayT:
    """Preprocesses NumPy or JAX arrays, the latter also under `jit`.

    Args:
      images: `[..., 3]`, RGB, uint8, or floating with the same range 0..255 (resized or augmented
        images); the range is not checked.

    Returns:
      float32, of the same shape and kind of array.

    Raises:
      TypeError: not an array, or neither uint8 nor floating.
      ValueError: the last dimension is not 3.
    """
    dtype = getattr(images, "dtype", type(images))
    if dtype != np.uint8 and not (hasattr(images, "dtype") and jnp.issubdtype(dtype, jnp.floating)):
      raise TypeError(f"images: expected an array, uint8 or floating with values 0..255, got {dtype}")
    if images.ndim == 0 or images.shape[-1] != 3:
      raise ValueError(f"images: expected shape [..., 3] (RGB), got {list(images.shape)}")
    ordered = self._ordered(images.astype(np.float32))
    mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
    return (ordered * np.float32(self.scale) - mean) / std

  @property
  def mean_rgb(self) -> tuple[int, int, int]:
    """The uint8 RGB color whose preprocessed value is nearest to 0, with which augmentation pads."""
    color = self._ordered(np.array(self.mean)) / self.scale
    red, green, blue = (int(value) for value in np.clip(np.round(color), 0, 255))
    return red, green, blue

  def as_dict(self) -> dict[str, Any]:
    """The fields as JSON types, for `from_dict`; runs store them beside their checkpoints."""
    return {**dataclasses.asdict(self), "mean": list(self.mean), "std": list(self.std)}

  @classmethod
  def from_dict(cls, fields: Mapping[str, Any]) -> Preprocess:
    """The inverse of `as_dict`.

    Raises:
      ValueError: a missing or unknown key, or an invalid value.
    """
    expected = {field.name for field in dataclasses.fields(cls)}
    if set(fields) != expected:
      raise ValueError(f"preprocess: expected the keys {sorted(expected)}, got {sorted(fields)}")
    return cls(**fields)

  def _ordered(self, rgb: Any) -> Any:
    """From RGB to `order`, or back."""
    return rgb[..., ::-1] if self.order == "BGR" else rgb


def _numbers(name: str, values: Any, count: int, positive: bool = False) -> tuple[float, ...]:
  """The values as `count` finite floats."""
  try:
    numbers = tuple(float(value) for value in values)
  except (TypeError, ValueError):
    numbers = ()
  valid = all(math.isfinite(number) and (number > 0 or not positive) for number in numbers)
  if len(numbers) != count or not valid:
    kind = "positive, finite" if positive else "finite"
    raise ValueError(f"{name}: expected {count} {kind} number{'s'[: count - 1]}, got {values!r}")
  return numbers


# Mode "caffe" of keras.applications: the channel means of ImageNet that the VGG team published.
CAFFE = Preprocess(mean=(103.939, 116.779, 123.68), order="BGR")
# torchvision.models: mean and standard deviation of ImageNet's pixels in 0..1.
TORCHVISION = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), scale=1 / 255)
# Mode "tf" of keras.applications, and Cadene's Xception: -1..1.
TF = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), scale=1 / 255)
# Cadene's BN-Inception (pretrainedmodels), converted from Caffe; its mean of red is 128, not 123.
BN_INCEPTION = Preprocess(mean=(104.0, 117.0, 128.0), order="BGR")
