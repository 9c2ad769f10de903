"""How Keras, PyTorch and Caffe name and lay out a layer: the entries of its arrays."""

from __future__ import annotations

import dataclasses
import math

from ppool_jax.weights.mappings.key_mapping import Entry

_HWIO = (0, 1, 2, 3)
_OIHW = (2, 3, 1, 0)


def keras_conv(
  ours: str, layer: str, shape: tuple[int, int, int, int], older: bool = False
) -> tuple[Entry, Entry]:
  """Kernel HWIO and bias: `<layer>/kernel`, in Keras 3's files `<layer>/0`, in Keras 1's `<layer>_W_1`.

  Args:
    shape: ours, HWIO.
    older: whether files of Keras 1 are in use.
  """
  kernel, bias = _keras_names(layer, older)
  return (
    Entry(("params", ours, "kernel"), shape, kernel, _HWIO),
    Entry(("params", ours, "bias"), shape[-1:], bias, (0,)),
  )


def _keras_names(layer, older):
  kernel, bias = (f"{layer}/kernel", f"{layer}/0"), (f"{layer}/bias", f"{layer}/1")
  return ((*kernel, f"{layer}_W_1"), (*bias, f"{layer}_b_1")) if older else (kernel, bias)


def torch_conv(ours: str, layer: str, shape: tuple[int, ...]) -> tuple[Entry, Entry]:
  """`<layer>.weight`, OIHW, and `<layer>.bias`; `shape` is ours, HWIO."""
  return _channels_first(ours, shape, f"{layer}.weight", f"{layer}.bias")


def caffe_conv(ours: str, layer: str, shape: tuple[int, ...]) -> tuple[Entry, Entry]:
  """Blobs 0, OIHW, and 1 of a Caffe layer; `shape` is ours, HWIO."""
  return _channels_first(ours, shape, f"{layer}/0", f"{layer}/1")


def _channels_first(ours, shape, kernel, bias):
  height, width, inputs, outputs = shape
  return (
    Entry(("params", ours, "kernel"), (outputs, inputs, height, width), (kernel,), _OIHW),
    Entry(("params", ours, "bias"), (outputs,), (bias,), (0,)),
  )


def dense_as_conv(conv: tuple[Entry, Entry]) -> tuple[Entry, Entry]:
  """A convolution over the whole of its input, part of a head, which files store as a dense layer.

  Keras stores `[inputs, outputs]`, PyTorch and Caffe `[outputs, inputs]`; the inputs are flattened in
  the order of the framework's own axes.
  """
  kernel, bias = conv
  keras = kernel.axes == _HWIO
  *inputs, outputs = kernel.shape if keras else (*kernel.shape[1:], kernel.shape[0])
  flat = (math.prod(inputs), outputs) if keras else (outputs, math.prod(inputs))
  kernel = dataclasses.replace(kernel, shape=flat, view=kernel.shape, head=True)
  return kernel, dataclasses.replace(bias, head=True)


def folded(conv: tuple[Entry, Entry], norm: str) -> tuple[Entry, Entry]:
  """A convolution whose bias, if a file has one, is taken off the mean of the batch norm after it."""
  kernel, bias = conv
  return kernel, dataclasses.replace(bias, path=("batch_stats", norm, "mean"), sign=-1, optional=True)


def keras_norm(ours: str, layer: str, channels: int) -> tuple[Entry, ...]:
  """`<layer>/gamma`, in Keras 3's files `<layer>/0`, and so on."""
  kinds = ("gamma", "beta", "moving_mean", "moving_variance")
  return _norm(ours, channels, [(f"{layer}/{kind}", f"{layer}/{i}") for i, kind in enumerate(kinds)])


def torch_norm(ours: str, layer: str, channels: int) -> tuple[Entry, ...]:
  """`<layer>.weight`, `.bias`, `.running_mean`, `.running_var`."""
  kinds = ("weight", "bias", "running_mean", "running_var")
  return _norm(ours, channels, [(f"{layer}.{kind}",) for kind in kinds])


def caffe_norm(ours: str, conv: str, channels: int) -> tuple[Entry, ...]:
  """What the reader calls the BatchNorm and Scale layers after the convolution `conv`."""
  kinds = ("scale", "bias", "mean", "variance")
  return _norm(ours, channels, [(f"{conv}/bn/{kind}",) for kind in kinds])


def _norm(ours, channels, names):
  paths = (("params", "scale"), ("params", "bias"), ("batch_stats", "mean"), ("batch_stats", "var"))
  return tuple(
    Entry((collection, ours, part), (channels,), spellings, (0,))
    for (collection, part), spellings in zip(paths, names, strict=True)
  )


def keras_dense(layer: str, inputs: int, older: bool = False) -> tuple[Entry, Entry]:
  """The classifier, `[inputs, classes]`, as a head."""
  return _classifier(_keras_names(layer, older), (inputs, None), (0, 1))


def torch_dense(*layers: str, inputs: int) -> tuple[Entry, Entry]:
  """The classifier, `[classes, inputs]`, under any of several names, as a head."""
  names = tuple(f"{layer}.weight" for layer in layers), tuple(f"{layer}.bias" for layer in layers)
  return _classifier(names, (None, inputs), (1, 0))


def caffe_dense(*layers: str, inputs: int) -> tuple[Entry, Entry]:
  """The classifier, `[classes, inputs]`, under any of several names, as a head."""
  names = tuple(f"{layer}/0" for layer in layers), tuple(f"{layer}/1" for layer in layers)
  return _classifier(names, (None, inputs), (1, 0))


def _classifier(names, shape, axes):
  kernel, bias = names
  return (
    Entry(("params", "classifier", "kernel"), shape, kernel, axes, head=True),
    Entry(("params", "classifier", "bias"), (None,), bias, (0,), head=True),
  )
