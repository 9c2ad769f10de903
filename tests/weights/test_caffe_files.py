"""The reader of Caffe models, on files that are encoded independently of it."""

import sys

import numpy as np
import pytest

from ppool_jax.weights.readers.files import read
from tests.helpers.caffe_files import blob, field, layer, numbers, old_blob, old_layer, varint
from tests.helpers.weights import assert_same_arrays

RNG = np.random.default_rng(0)


def written(tmp_path, *layers):
  path = tmp_path / "net.caffemodel"
  path.write_bytes(field(1, "net") + b"".join(layers))
  return path


def array(*shape):
  return RNG.standard_normal(shape).astype(np.float32)


def test_layers_are_read(tmp_path):
  """Float and double data, any number of dimensions, layers without blobs."""
  kernel, bias, dense = array(8, 3, 2, 2), array(8), RNG.standard_normal((5, 8))
  path = written(
    tmp_path,
    layer("data", "Input", "", "data"),
    layer("conv", "Convolution", "data", "conv", blob(kernel), blob(bias)),
    layer("relu", "ReLU", "conv", "conv"),
    layer("fc", "InnerProduct", "conv", "fc", blob(dense, double=True)),
  )
  found = read(path)
  assert_same_arrays(found, {"conv/0": kernel, "conv/1": bias, "fc/0": dense})
  assert found["conv/0"].dtype == np.float32
  assert found["fc/0"].dtype == np.float64


def test_layers_of_old_files_lose_leading_dimensions(tmp_path):
  """Old blobs have four dimensions; those of kernels are kept, even if they are 1."""
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
  assert_same_arrays(found, {"conv/0": kernel, "conv/1": bias, "fc/0": dense, "fc/1": dense_bias})


def normalized(conv, bottom, tops, norm, scale, factor=2.0, read_by_norm=None):
  """A convolution with its BatchNorm and Scale, and the expected arrays; equal `tops` mean in place."""
  arrays = {kind: array(4) for kind in ("mean", "variance", "scale", "bias")}
  kernel, sums = array(4, 3, 1, 1), [blob(factor * arrays[kind]) for kind in ("mean", "variance")]
  layers = (
    layer(conv, "Convolution", bottom, tops[0], blob(kernel)),
    layer(norm, "BatchNorm", read_by_norm or tops[0], tops[1], *sums, blob(np.float32([factor]))),
    layer(scale, "Scale", tops[1], tops[2], blob(arrays["scale"]), blob(arrays["bias"])),
  )
  expected = {f"{conv}/0": kernel, **{f"{conv}/bn/{kind}": value for kind, value in arrays.items()}}
  return layers, expected


def test_batch_norms_are_named_after_their_convolutions(tmp_path):
  """In place, out of place, after Caffe's Split, and without a bias of Scale; layer names do not matter."""
  first, a = normalized("conv1", "data", ("c", "c", "c"), "bn_conv1", "scale_conv1")
  relu = layer("relu", "ReLU", "c", "c")
  second, b = normalized("res2a", "c", ("x", "y", "z"), "what", "ever")
  split = layer("split", "Split", "z", "z0 z1")
  third, c = normalized("res2b", "z0", ("w", "w1", "w1"), "conv1", "res2a", read_by_norm="w1")
  third = (third[0], layer("w_split", "Split", "w", "w0 w1"), *third[1:])
  fourth, d = normalized("res2c", "z1", ("v", "v", "v"), "n", "s")
  scale = layer("s", "Scale", "v", "v", blob(d["res2c/bn/scale"]))
  del d["res2c/bn/bias"]
  found = read(written(tmp_path, *first, relu, *second, split, *third, *fourth[:2], scale))
  assert_same_arrays(found, a | b | c | d)


def test_sums_are_divided_by_the_scale_factor(tmp_path):
  """A factor of 0 gives zeros."""
  layers, expected = normalized("conv", "data", ("c", "c", "c"), "bn", "s", factor=0.999)
  found = read(written(tmp_path, *layers))
  np.testing.assert_allclose(found["conv/bn/mean"], expected["conv/bn/mean"], rtol=1e-6)
  np.testing.assert_allclose(found["conv/bn/variance"], expected["conv/bn/variance"], rtol=1e-6)
  layers, _ = normalized("conv", "data", ("c", "c", "c"), "bn", "s", factor=0.0)
  assert not read(written(tmp_path, *layers))["conv/bn/variance"].any()


def test_bn_layer_of_yjxiong_is_read(tmp_path):
  """Scale, bias, mean and variance, each [1, n, 1, 1], as new and as old blobs."""
  arrays = {kind: array(4) for kind in ("scale", "bias", "mean", "variance")}
  for as_blob in (blob, old_blob):
    blobs = [as_blob(value.reshape(1, 4, 1, 1)) for value in arrays.values()]
    conv = layer("conv", "Convolution", "data", "conv", blob(np.ones((4, 3, 1, 1))))
    found = read(written(tmp_path, conv, layer("conv_bn", "BN", "conv", "conv_bn", *blobs)))
    del found["conv/0"]
    assert_same_arrays(found, {f"conv/bn/{kind}": value for kind, value in arrays.items()})


def test_other_norm_layers_keep_their_names(tmp_path):
  """Without a convolution, after another layer, Scale without BatchNorm, a second Scale, other blobs."""
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
    *normalized("conv4", "conv3", ("d", "d", "d"), "norm", "scale")[0],
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


def test_broken_file_is_refused(tmp_path):
  """Truncated files, an HTML page, random bytes."""
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


def test_invalid_blobs_are_refused(tmp_path):
  """Numbers that do not fill the shape, negative sizes, two arrays with one key."""

  def conv(content):
    return written(tmp_path, layer("conv", "Convolution", "data", "conv", content))

  short = field(7, field(1, varint(2) + varint(3))) + field(5, numbers(array(5)))
  assert "conv/0: expected 6 numbers for the shape [2, 3], got 5" in refusal(conv(short))
  negative = field(7, field(1, varint(-2) + varint(-3))) + field(5, numbers(array(6)))
  assert "the shape [-2, -3]" in refusal(conv(negative))
  twice = layer("conv", "Convolution", "data", "conv", blob(array(2)))
  assert "two arrays have the name 'conv/0'" in refusal(written(tmp_path, twice, twice))


def test_missing_protobuf_is_reported(tmp_path, monkeypatch):
  path = written(tmp_path, layer("conv", "Convolution", "data", "conv", blob(array(2))))
  monkeypatch.setitem(sys.modules, "google.protobuf", None)
  with pytest.raises(ImportError, match="needs protobuf") as caught:
    read(path)
  assert str(path) in str(caught.value)
