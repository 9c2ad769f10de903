"""The arrays of a layer in the files of Keras, PyTorch and Caffe: their keys and axes.

In every function `name` is the layer's name in the network, and `layer` its name in the file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ppool_jax.weights.mappings.key_mapping import ParamSpec

Kernel = tuple[int, int, int, int]
"""The shape of a kernel, HWIO."""

_HWIO = (0, 1, 2, 3)
_OIHW = (2, 3, 1, 0)


def keras_conv(name: str, layer: str, shape: Kernel, keras1: bool = False) -> tuple[ParamSpec, ParamSpec]:
  """Kernel HWIO and bias: `<layer>/kernel`, in Keras 3's files `<layer>/0`, in Keras 1's `<layer>_W_1`.

  Args:
    name, layer: the layer's names.
    shape: of the kernel, HWIO.
    keras1: whether there are files of Keras 1.
  """
  kernel, bias = _keras_keys(layer, keras1)
  return (
    ParamSpec(("params", name, "kernel"), shape, kernel, _HWIO),
    ParamSpec(("params", name, "bias"), shape[-1:], bias, (0,)),
  )


def _keras_keys(layer: str, keras1: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
  kernel, bias = (f"{layer}/kernel", f"{layer}/0"), (f"{layer}/bias", f"{layer}/1")
  return ((*kernel, f"{layer}_W_1"), (*bias, f"{layer}_b_1")) if keras1 else (kernel, bias)


def torch_conv(name: str, layer: str, shape: Kernel) -> tuple[ParamSpec, ParamSpec]:
  """`<layer>.weight`, OIHW, and `<layer>.bias`; `shape` is HWIO."""
  return _channels_first(name, shape, f"{layer}.weight", f"{layer}.bias")


def caffe_conv(name: str, layer: str, shape: Kernel) -> tuple[ParamSpec, ParamSpec]:
  """Blob 0, OIHW, and blob 1 of a Caffe layer; `shape` is HWIO."""
  return _channels_first(name, shape, f"{layer}/0", f"{layer}/1")


def _channels_first(name: str, shape: Kernel, kernel: str, bias: str) -> tuple[ParamSpec, ParamSpec]:
  height, width, inputs, outputs = shape
  return (
    ParamSpec(("params", name, "kernel"), (outputs, inputs, height, width), (kernel,), _OIHW),
    ParamSpec(("params", name, "bias"), (outputs,), (bias,), (0,)),
  )


def dense_as_conv(conv: tuple[ParamSpec, ParamSpec]) -> tuple[ParamSpec, ParamSpec]:
  """A convolution of the classifier over its whole input, which files store as a dense layer.

  Keras stores `[inputs, outputs]`, PyTorch and Caffe `[outputs, inputs]`; the inputs are flattened in
  the order of the framework's axes.
  """
  kernel, bias = conv
  shape = tuple(size for size in kernel.shape if size is not None)
  flat = (math.prod(shape[:3]), shape[3]) if kernel.axes == _HWIO else (shape[0], math.prod(shape[1:]))
  kernel = dataclasses.replace(kernel, shape=flat, reshape=shape, classifier=True)
  return kernel, dataclasses.replace(bias, classifier=True)


def fold_bias(conv: tuple[ParamSpec, ParamSpec], norm: str) -> tuple[ParamSpec, ParamSpec]:
  """A convolution whose bias, if a file has one, is subtracted from the mean of the batch norm after it."""
  kernel, bias = conv
  return kernel, dataclasses.replace(bias, path=("batch_stats", norm, "mean"), sign=-1, optional=True)


def keras_norm(name: str, layer: str, channels: int) -> tuple[ParamSpec, ...]:
  """`<layer>/gamma`, in Keras 3's files `<layer>/0`, and so on."""
  kinds = ("gamma", "beta", "moving_mean", "moving_variance")
  return _norm(name, channels, [(f"{layer}/{kind}", f"{layer}/{i}") for i, kind in enumerate(kinds)])


def torch_norm(name: str, layer: str, channels: int) -> tuple[ParamSpec, ...]:
  """`<layer>.weight`, `.bias`, `.running_mean`, `.running_var`."""
  kinds = ("weight", "bias", "running_mean", "running_var")
  return _norm(name, channels, [(f"{layer}.{kind}",) for kind in kinds])


def caffe_norm(name: str, conv: str, channels: int) -> tuple[ParamSpec, ...]:
  """The keys that the reader gives to the BatchNorm and Scale layers after the convolution `conv`."""
  kinds = ("scale", "bias", "mean", "variance")
  return _norm(name, channels, [(f"{conv}/bn/{kind}",) for kind in kinds])


def _norm(name: str, channels: int, keys: Sequence[tuple[str, ...]]) -> tuple[ParamSpec, ...]:
  paths = (("params", "scale"), ("params", "bias"), ("batch_stats", "mean"), ("batch_stats", "var"))
  return tuple(
    ParamSpec((collection, name, part), (channels,), spellings, (0,))
    for (collection, part), spellings in zip(paths, keys, strict=True)
  )


def keras_dense(layer: str, inputs: int, keras1: bool = False) -> tuple[ParamSpec, ParamSpec]:
  """The dense layer of the classifier, `[inputs, classes]`."""
  return _classifier(_keras_keys(layer, keras1), (inputs, None), (0, 1))


def torch_dense(*layers: str, inputs: int) -> tuple[ParamSpec, ParamSpec]:
  """The dense layer of the classifier, `[classes, inputs]`, under any of several names."""
  keys = tuple(f"{layer}.weight" for layer in layers), tuple(f"{layer}.bias" for layer in layers)
  return _classifier(keys, (None, inputs), (1, 0))


def caffe_dense(*layers: str, inputs: int) -> tuple[ParamSpec, ParamSpec]:
  """The dense layer of the classifier, `[classes, inputs]`, under any of several names."""
  keys = tuple(f"{layer}/0" for layer in layers), tuple(f"{layer}/1" for layer in layers)
  return _classifier(keys, (None, inputs), (1, 0))


def _classifier(
  keys: tuple[tuple[str, ...], tuple[str, ...]], shape: tuple[int | None, ...], axes: tuple[int, ...]
) -> tuple[ParamSpec, ParamSpec]:
  kernel, bias = keys
  return (
    ParamSpec(("params", "classifier", "kernel"), shape, kernel, axes, classifier=True),
    ParamSpec(("params", "classifier", "bias"), (None,), bias, (0,), classifier=True),
  )
