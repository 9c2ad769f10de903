"""Weights in every format and naming come back as they were written."""

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from ppool_jax.weights import load
from ppool_jax.weights.preprocess import CAFFE, TORCHVISION
from tests.helpers.weights import (
  NEW,
  OLD,
  flat_keras_names,
  keras_layer,
  keras_names,
  random_params,
  torch_names,
  write_keras,
)


@pytest.fixture(scope="module")
def params():
  return random_params()


@pytest.fixture
def new_file(tmp_path):
  """A path maker whose files are deleted at once: each is 59 MB."""
  yield lambda name: tmp_path / name
  for path in tmp_path.iterdir():
    path.unlink()


def assert_same(loaded, params):
  assert list(loaded) == ["params"]
  assert jax.tree.structure(loaded["params"]) == jax.tree.structure(params)
  jax.tree.map(np.testing.assert_array_equal, loaded["params"], params)
  assert {array.dtype for array in jax.tree.leaves(loaded)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("style", [OLD, NEW, ("/kernel", "/bias")])
def test_keras_h5(params, new_file, style):
  """The data sets of Keras 1, 2 and 3 in the same layout; `/` nests them in a further group."""
  path = new_file("weights.h5")
  write_keras(path, keras_names(params, style))
  variables, preprocess = load("vgg16", path)
  assert_same(variables, params)
  assert preprocess == CAFFE


def test_keras_h5_with_names_unique_within_a_layer_only(params, new_file):
  """`kernel:0` in the group of each layer, and attributes that are str, not bytes."""
  path = new_file("weights.hdf5")
  layers = {
    keras_layer(name): {"kernel:0": layer["kernel"], "bias:0": layer["bias"]}
    for name, layer in params.items()
  }
  write_keras(path, layers)
  with h5py.File(path, "a") as file:
    file.attrs["layer_names"] = list(layers)
  assert_same(load("vgg16", path)[0], params)


@pytest.mark.parametrize(
  ("names", "expected"),
  [
    (torch_names, TORCHVISION),
    (lambda params: flat_keras_names(params, OLD), CAFFE),
    (lambda params: flat_keras_names(params, NEW), CAFFE),
  ],
  ids=["torchvision", "keras-old", "keras-new"],
)
def test_safetensors(params, new_file, names, expected):
  """The names decide layout and preprocessing, not the format."""
  path = new_file("weights.safetensors")
  safetensors.numpy.save_file(names(params), path)
  variables, preprocess = load("vgg16", str(path))
  assert_same(variables, params)
  assert preprocess == expected


@pytest.mark.parametrize("zipped", [True, False])
def test_pth(params, new_file, zipped):
  """The zip file of today's PyTorch, and the bare pickle of torchvision's VGG-16."""
  torch = pytest.importorskip("torch")
  path = new_file("weights.pth")
  state = {name: torch.from_numpy(array) for name, array in torch_names(params).items()}
  torch.save(state, path, _use_new_zipfile_serialization=zipped)
  variables, preprocess = load("vgg16", path)
  assert_same(variables, params)
  assert preprocess == TORCHVISION


def test_half_precision_becomes_float32(new_file):
  """float16 of Keras and safetensors."""
  halves = random_params(np.float16)
  expected = jax.tree.map(lambda array: array.astype(np.float32), halves)
  write_keras(new_file("weights.h5"), keras_names(halves, OLD))
  assert_same(load("vgg16", new_file("weights.h5"))[0], expected)
  safetensors.numpy.save_file(torch_names(halves), new_file("weights.safetensors"))
  assert_same(load("vgg16", new_file("weights.safetensors"))[0], expected)


def test_bfloat16_becomes_float32(new_file):
  """bfloat16, which NumPy itself does not have, of PyTorch and safetensors."""
  torch = pytest.importorskip("torch")
  import safetensors.torch

  state = {name: torch.from_numpy(a).bfloat16() for name, a in torch_names(random_params()).items()}
  expected = jax.tree.map(lambda a: a.astype(jnp.bfloat16).astype(np.float32), random_params())
  torch.save(state, new_file("weights.pt"))
  assert_same(load("vgg16", new_file("weights.pt"))[0], expected)
  safetensors.torch.save_file(state, new_file("weights.safetensors"))
  assert_same(load("vgg16", new_file("weights.safetensors"))[0], expected)
