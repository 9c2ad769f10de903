"""Key mappings of Xception.

Keras: the keys that `keras.applications.Xception` writes, and those of the published
`xception_weights_tf_dim_ordering_tf_kernels[_notop].h5`, which Keras 1 wrote. Cadene: the port to
PyTorch in pretrainedmodels and timm's `legacy_xception`, converted from Keras's weights but with PyTorch's
epsilon.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ppool_jax.weights.mappings.key_mapping import KeyMapping, ParamSpec
from ppool_jax.weights.mappings.layouts import (
  keras_conv,
  keras_dense,
  keras_norm,
  torch_conv,
  torch_dense,
  torch_norm,
)
from ppool_jax.weights.preprocess import TF

_BLOCKS = ((128, 128), (256, 256), (728, 728), *[(728,) * 3] * 8, (728, 1024))
_SKIPS = (1, 2, 3, 12)  # the blocks whose skip connection has a convolution


class _Unit(NamedTuple):
  """A convolution and its batch norm.

  Attributes:
    block: 0 for conv1 and conv2, 1..12, 13 for conv3 and conv4.
    number: of the convolution in its block, from 1; 0 for that of the skip connection.
    shape: of the kernel, HWIO; of a separable convolution (3, 3, inputs, outputs).
  """

  block: int
  number: int
  shape: tuple[int, int, int, int]

  @property
  def separable(self) -> bool:
    return self.block > 0 and self.number > 0


def _units() -> Iterator[_Unit]:
  """In the order in which Keras builds and counts them: that of the skip connection precedes its block's."""
  yield _Unit(0, 1, (3, 3, 3, 32))
  yield _Unit(0, 2, (3, 3, 32, 64))
  inputs = 64
  for block, channels in enumerate((*_BLOCKS, (1536, 2048)), 1):
    if block in _SKIPS:
      yield _Unit(block, 0, (1, 1, inputs, channels[-1]))
    for number, outputs in enumerate(channels, 1):
      yield _Unit(block, number, (3, 3, inputs, outputs))
      inputs = outputs


def _names(unit: _Unit) -> tuple[str, str]:
  """The network's names of a convolution and its batch norm."""
  if unit.block in (0, 13):
    number = unit.number + (2 if unit.block else 0)
    return f"conv{number}", f"norm{number}"
  block = f"block{unit.block}"
  if unit.number == 0:
    return f"{block}_skip", f"{block}_skip_norm"
  return f"{block}_sep{unit.number}", f"{block}_norm{unit.number}"


def _cadene_names(unit: _Unit) -> tuple[str, str]:
  conv, norm = _names(unit)
  if unit.block in (0, 13):
    return conv, norm.replace("norm", "bn")
  block = f"block{unit.block}"
  if unit.number == 0:
    return f"{block}.skip", f"{block}.skipbn"
  # ReLUs are counted, too; block1 does not begin with one.
  place = 3 * (unit.number - 1) + (unit.block > 1)
  return f"{block}.rep.{place}", f"{block}.rep.{place + 1}"


def _cadene_separable(name: str, layer: str, shape: tuple[int, int, int, int]) -> tuple[ParamSpec, ParamSpec]:
  """The kernels of the depthwise convolution `[inputs, 1, 3, 3]` and the pointwise convolution."""
  inputs, outputs = shape[2:]
  path, keys = ("params", f"{name}_depthwise", "kernel"), (f"{layer}.conv1.weight",)
  return (
    ParamSpec(path, (inputs, 1, 3, 3), keys, (1, 2, 0), (inputs, 3, 3)),
    torch_conv(f"{name}_pointwise", f"{layer}.pointwise", (1, 1, inputs, outputs))[0],
  )


def _keras_names(unit: _Unit) -> tuple[str, str]:
  """Keras generates the names of skip connections; the reader counts them from 0."""
  if unit.number == 0:
    return _nth("conv2d", _SKIPS.index(unit.block)), _nth("batch_normalization", _SKIPS.index(unit.block))
  layer = f"block{unit.block + 1}_{'sepconv' if unit.separable else 'conv'}{unit.number}"
  return layer, f"{layer}_bn"


def _keras_separable(name: str, layer: str, shape: tuple[int, int, int, int]) -> tuple[ParamSpec, ParamSpec]:
  """The kernels of the depthwise convolution `[3, 3, inputs, 1]` and the pointwise convolution."""
  inputs, outputs = shape[2:]
  keys = [(f"{layer}/{kind}_kernel", f"{layer}/{i}") for i, kind in enumerate(("depthwise", "pointwise"))]
  return (
    ParamSpec(
      ("params", f"{name}_depthwise", "kernel"), (3, 3, inputs, 1), keys[0], (0, 1, 2), (3, 3, inputs)
    ),
    ParamSpec(("params", f"{name}_pointwise", "kernel"), (1, 1, inputs, outputs), keys[1], (0, 1, 2, 3)),
  )


def _keras_1_names() -> dict[_Unit, tuple[str, str]]:
  """In the published file all names are generated: layers are counted by their kind.

  The reader counts them from 0, but for separable convolutions, whose kind it does not know.
  """
  convs, separables = itertools.count(), itertools.count(1)
  return {
    unit: (
      f"separableconvolution2d_{next(separables)}" if unit.separable else _nth("conv2d", next(convs)),
      _nth("batch_normalization", place),
    )
    for place, unit in enumerate(_units())
  }


def _keras_1(param: ParamSpec) -> ParamSpec:
  """The same array with its key of Keras 1, whose "running_std" is a variance."""
  layer, kind = param.keys[0].split("/")
  older = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}
  return dataclasses.replace(param, keys=(f"{layer}_{older.get(kind, kind)}",))


def _nth(kind: str, place: int) -> str:
  return f"{kind}_{place}" if place else kind


def _params(names: Callable, conv: Callable, separable: Callable, norm: Callable) -> Iterator[ParamSpec]:
  """Every convolution and batch norm; `names` maps a unit to the file's names of the two."""
  for unit in _units():
    (name, norm_name), (layer, norm_layer) = _names(unit), names(unit)
    if unit.separable:
      yield from separable(name, layer, unit.shape)
    else:
      yield conv(name, layer, unit.shape)[0]  # no file has a bias
    yield from norm(norm_name, norm_layer, unit.shape[-1])


_KERAS_1_BACKBONE = _params(_keras_1_names().__getitem__, keras_conv, _keras_separable, keras_norm)

XCEPTION = (
  KeyMapping(
    "keras",
    (*_params(_keras_names, keras_conv, _keras_separable, keras_norm), *keras_dense("predictions", 2048)),
    r"",
    TF,
  ),
  KeyMapping("keras 1", tuple(map(_keras_1, (*_KERAS_1_BACKBONE, *keras_dense("dense_2", 2048)))), r"", TF),
  KeyMapping(
    "cadene",
    (
      *_params(_cadene_names, torch_conv, _cadene_separable, torch_norm),
      *torch_dense("fc", "last_linear", inputs=2048),
    ),
    r".*\.num_batches_tracked",
    TF,
    {"epsilon": 1e-5},
  ),
)
