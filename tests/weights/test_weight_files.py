"""Weights of every format and key mapping are read as they were written."""

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
  flat_keras_keys,
  keras_keys,
  keras_layer,
  random_params,
  torch_keys,
  write_keras,
)


@pytest.fixture(scope="module")
def params():
  return random_params()


def assert_loaded(loaded, params):
  assert list(loaded) == ["params"]
  assert jax.tree.structure(loaded["params"]) == jax.tree.structure(params)
  jax.tree.map(np.testing.assert_array_equal, loaded["params"], params)
  assert {array.dtype for array in jax.tree.leaves(loaded)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("style", [OLD, NEW, ("/kernel", "/bias")])
def test_keras_files_of_every_version_are_read(params, large_files, style):
  """Keras 1, 2 and 3 in the legacy layout; "/" in a name creates a nested group."""
  path = large_files / "weights.h5"
  write_keras(path, keras_keys(params, style))
  variables, preprocess = load("vgg16", path)
  assert_loaded(variables, params)
  assert preprocess == CAFFE


def test_keras_names_may_be_unique_only_within_a_layer(params, large_files):
  """Datasets `kernel:0` in the group of each layer, and attributes that are str, not bytes."""
  path = large_files / "weights.hdf5"
  layers = {
    keras_layer(name): {"kernel:0": layer["kernel"], "bias:0": layer["bias"]}
    for name, layer in params.items()
  }
  write_keras(path, layers)
  with h5py.File(path, "a") as file:
    file.attrs["layer_names"] = list(layers)
  assert_loaded(load("vgg16", path)[0], params)


@pytest.mark.parametrize(
  ("keys", "expected"),
  [
    (torch_keys, TORCHVISION),
    (lambda params: flat_keras_keys(params, OLD), CAFFE),
    (lambda params: flat_keras_keys(params, NEW), CAFFE),
  ],
  ids=["torchvision", "keras-old", "keras-new"],
)
def test_keys_determine_layout_and_preprocessing(params, large_files, keys, expected):
  """Not the file format."""
  path = large_files / "weights.safetensors"
  safetensors.numpy.save_file(keys(params), path)
  variables, preprocess = load("vgg16", str(path))
  assert_loaded(variables, params)
  assert preprocess == expected


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_pytorch_are_read(params, large_files, zipped):
  """The zip file of recent versions, and the plain pickle of torchvision's VGG-16."""
  torch = pytest.importorskip("torch")
  path = large_files / "weights.pth"
  state = {name: torch.from_numpy(array) for name, array in torch_keys(params).items()}
  torch.save(state, path, _use_new_zipfile_serialization=zipped)
  variables, preprocess = load("vgg16", path)
  assert_loaded(variables, params)
  assert preprocess == TORCHVISION


def test_half_precision_becomes_float32(large_files):
  """float16 in files of Keras and safetensors."""
  halves = random_params(np.float16)
  expected = jax.tree.map(lambda array: array.astype(np.float32), halves)
  write_keras(large_files / "weights.h5", keras_keys(halves, OLD))
  assert_loaded(load("vgg16", large_files / "weights.h5")[0], expected)
  safetensors.numpy.save_file(torch_keys(halves), large_files / "weights.safetensors")
  assert_loaded(load("vgg16", large_files / "weights.safetensors")[0], expected)


def test_bfloat16_becomes_float32(large_files):
  """bfloat16, which NumPy does not have, in files of PyTorch and safetensors."""
  torch = pytest.importorskip("torch")
  import safetensors.torch

  state = {name: torch.from_numpy(a).bfloat16() for name, a in torch_keys(random_params()).items()}
  expected = jax.tree.map(lambda a: a.astype(jnp.bfloat16).astype(np.float32), random_params())
  torch.save(state, large_files / "weights.pt")
  assert_loaded(load("vgg16", large_files / "weights.pt")[0], expected)
  safetensors.torch.save_file(state, large_files / "weights.safetensors")
  assert_loaded(load("vgg16", large_files / "weights.safetensors")[0], expected)
