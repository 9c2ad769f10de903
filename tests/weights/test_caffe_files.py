"""Caffe models, written here byte by byte from the protobuf encoding and Caffe's caffe.proto."""

import sys

import numpy as np
import pytest

from ppool_jax.weights.readers.files import read
from tests.helpers.caffe_files import blob, field, layer, numbers, old_blob, old_layer, varint

RNG = np.random.default_rng(0)


def written(tmp_path, *layers):
  path = tmp_path / "net.caffemodel"
  path.write_bytes(field(1, "net") + b"".join(layers))
  return path


def array(*shape):
  return RNG.standard_normal(shape).astype(np.float32)


def assert_same(found, expected):
  assert sorted(found) == sorted(expected)
  for name in expected:
    np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_layers(tmp_path):
  """Float and double data, shapes of any number of dimensions, layers without blobs."""
  kernel, bias, dense = array(8, 3, 2, 2), array(8), RNG.standard_normal((5, 8))
  path = written(
    tmp_path,
    layer("data", "Input", "", "data"),
    layer("conv", "Convolution", "data", "conv", blob(kernel), blob(bias)),
    layer("relu", "ReLU", "conv", "conv"),
    layer("fc", "InnerProduct", "conv", "fc", blob(dense, double=True)),
  )
  found = read(path)
  assert_same(found, {"conv/0": kernel, "conv/1": bias, "fc/0": dense})
  assert found["conv/0"].dtype == np.float32
  assert found["fc/0"].dtype == np.float64


def test_old_layers(tmp_path):
  """Four dimensions always: those that a layer has no longer are left out, but none of a kernel's."""
  kernel, bias, dense, dense_bias = array(1, 3, 2, 2), array(1), array(5, 8), array(5)
  path = written(
    tmp_path,
    old_layer("conv", 4, "data", "conv", old_blob(kernel), old_blob(bias)),
    old_layer("relu", 18, "conv", "conv"),
    old_layer("fc", 14, "conv", "fc", old_blob(dense), old_blob(dense_bias)),
    old_layer("one", 14, "fc", "one", old_blob(array(1, 5)), old_blob(array(1))),
  )
  found = read(path)
  assert found.pop("one/0").shape == (1, 5)
  assert found.pop("one/1").shape == (1,)
  assert_same(found, {"conv/0": kernel, "conv/1": bias, "fc/0": dense, "fc/1": dense_bias})


def normalised(conv, bottom, tops, norm, scale, factor=2.0, read_by_norm=None):
  """A convolution, its BatchNorm and Scale, with the blobs that they write: one name is in place."""
  arrays = {kind: array(4) for kind in ("mean", "variance", "scale", "bias")}
  kernel, sums = array(4, 3, 1, 1), [blob(factor * arrays[kind]) for kind in ("mean", "variance")]
  layers = (
    layer(conv, "Convolution", bottom, tops[0], blob(kernel)),
    layer(norm, "BatchNorm", read_by_norm or tops[0], tops[1], *sums, blob(np.float32([factor]))),
    layer(scale, "Scale", tops[1], tops[2], blob(arrays["scale"]), blob(arrays["bias"])),
  )
  expected = {f"{conv}/0": kernel, **{f"{conv}/bn/{kind}": value for kind, value in arrays.items()}}
  return layers, expected


def test_batch_norms_are_named_by_the_graph(tmp_path):
  """In place, out of place, behind Caffe's split, without a bias of Scale; names mean nothing."""
  first, a = normalised("conv1", "data", ("c", "c", "c"), "bn_conv1", "scale_conv1")
  relu = layer("relu", "ReLU", "c", "c")
  second, b = normalised("res2a", "c", ("x", "y", "z"), "what", "ever")
  split = layer("split", "Split", "z", "z0 z1")
  third, c = normalised("res2b", "z0", ("w", "w1", "w1"), "conv1", "res2a", read_by_norm="w1")
  third = (third[0], layer("w_split", "Split", "w", "w0 w1"), *third[1:])
  fourth, d = normalised("res2c", "z1", ("v", "v", "v"), "n", "s")
  scale = layer("s", "Scale", "v", "v", blob(d["res2c/bn/scale"]))
  del d["res2c/bn/bias"]
  found = read(written(tmp_path, *first, relu, *second, split, *third, *fourth[:2], scale))
  assert_same(found, a | b | c | d)


def test_the_scale_factor(tmp_path):
  """Stored sums are divided by it, and are nothing where nothing has been summed."""
  layers, expected = normalised("conv", "data", ("c", "c", "c"), "bn", "s", factor=0.999)
  found = read(written(tmp_path, *layers))
  np.testing.assert_allclose(found["conv/bn/mean"], expected["conv/bn/mean"], rtol=1e-6)
  np.testing.assert_allclose(found["conv/bn/variance"], expected["conv/bn/variance"], rtol=1e-6)
  layers, _ = normalised("conv", "data", ("c", "c", "c"), "bn", "s", factor=0.0)
  assert not read(written(tmp_path, *layers))["conv/bn/variance"].any()


def test_the_older_bn_layer(tmp_path):
  """yjxiong's: scale, bias, mean, variance, each [1, n, 1, 1], with a shape or with four sizes."""
  arrays = {kind: array(4) for kind in ("scale", "bias", "mean", "variance")}
  for as_blob in (blob, old_blob):
    blobs = [as_blob(value.reshape(1, 4, 1, 1)) for value in arrays.values()]
    conv = layer("conv", "Convolution", "data", "conv", blob(np.ones((4, 3, 1, 1))))
    found = read(written(tmp_path, conv, layer("conv_bn", "BN", "conv", "conv_bn", *blobs)))
    del found["conv/0"]
    assert_same(found, {f"conv/bn/{kind}": value for kind, value in arrays.items()})


def test_norms_of_no_convolution_keep_their_names(tmp_path):
  """Before any, after another layer, a Scale without a BatchNorm, a second one, other numbers of blobs."""
  blobs, names = [blob(array(4)) for _ in range(3)], []
  layers = [
    layer("bn_data", "BatchNorm", "data", "data", *blobs),
    layer("scale_data", "Scale", "data", "data", *blobs[:2]),
    layer("conv", "Convolution", "data", "conv", blobs[0]),
    layer("merged", "Scale", "conv", "conv", *blobs[:2]),
    layer("conv2", "Convolution", "conv", "conv2", blobs[0]),
    layer("relu", "ReLU", "conv2", "conv2"),
    layer("late", "BatchNorm", "conv2", "conv2", *blobs),
    layer("conv3", "Convolution", "conv2", "conv3", blobs[0]),
    layer("segnet", "BN", "conv3", "conv3", *blobs[:2]),
    *normalised("conv4", "conv3", ("d", "d", "d"), "norm", "scale")[0],
    layer("more", "Scale", "d", "d", *blobs[:2]),
  ]
  for name, count in [
    ("bn_data", 3),
    ("scale_data", 2),
    ("merged", 2),
    ("late", 3),
    ("segnet", 2),
    ("more", 2),
  ]:
    names += [f"{name}/{index}" for index in range(count)]
  names += ["conv/0", "conv2/0", "conv3/0", "conv4/0"]
  names += [f"conv4/bn/{kind}" for kind in ("mean", "variance", "scale", "bias")]
  assert sorted(read(written(tmp_path, *layers))) == sorted(names)


def refusal(path):
  with pytest.raises(ValueError, match="expected a Caffe model") as caught:
    read(path)
  assert str(path) in str(caught.value)
  return str(caught.value)


def test_broken_files(tmp_path):
  """Cut off anywhere, a page of HTML, nothing, random bytes."""
  content = written(
    tmp_path, layer("conv", "Convolution", "data", "conv", blob(array(8, 3, 3, 3)))
  ).read_bytes()
  path = tmp_path / "broken.caffemodel"
  for tenth in range(10):
    path.write_bytes(content[: len(content) * tenth // 10])
    refusal(path)
  for garbage in (b"<!DOCTYPE html><html>404</html>", np.random.default_rng(0).bytes(1000)):
    path.write_bytes(garbage)
    refusal(path)


def test_broken_blobs(tmp_path):
  """Numbers that do not fill the shape; a shape that no array has; one name for two arrays."""

  def conv(content):
    return written(tmp_path, layer("conv", "Convolution", "data", "conv", content))

  short = field(7, field(1, varint(2) + varint(3))) + field(5, numbers(array(5)))
  assert "conv/0: expected 6 numbers for the shape [2, 3], got 5" in refusal(conv(short))
  negative = field(7, field(1, varint(-2) + varint(-3))) + field(5, numbers(array(6)))
  assert "the shape [-2, -3]" in refusal(conv(negative))
  twice = layer("conv", "Convolution", "data", "conv", blob(array(2)))
  assert "two arrays have the name 'conv/0'" in refusal(written(tmp_path, twice, twice))


def test_without_protobuf(tmp_path, monkeypatch):
  path = written(tmp_path, layer("conv", "Convolution", "data", "conv", blob(array(2))))
  monkeypatch.setitem(sys.modules, "google.protobuf", None)
  with pytest.raises(ImportError, match="needs protobuf") as caught:
    read(path)
  assert str(path) in str(caught.value)
