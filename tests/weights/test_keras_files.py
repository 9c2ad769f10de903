"""Files that Keras 3 writes, in its own and in the legacy layout, and the names of older versions."""

import h5py
import jax
import numpy as np
import pytest

from ppool_jax.weights import load
from ppool_jax.weights.readers.files import read
from tests.helpers import peers
from tests.helpers.weights import assert_same_arrays, keras_layer, write_keras

pytestmark = [peers.quiet, pytest.mark.usefixtures("large_files")]


@pytest.fixture(scope="module")
def keras():
  return peers.keras()


def small_model(keras):
  """A model with named and unnamed layers, some of them without weights, and a nested model."""
  layers, image = keras.layers, keras.Input((8, 8, 3))
  x = layers.Conv2D(4, 3, name="stem")(image)
  x = layers.BatchNormalization(name="stem_bn")(x)
  x = layers.SeparableConv2D(6, 3, use_bias=False, name="sep")(layers.Dropout(0.1)(x))
  skip = layers.BatchNormalization()(layers.Conv2D(6, 1, use_bias=False)(x))
  x = layers.BatchNormalization()(layers.Conv2D(6, 1)(layers.ReLU()(x)))
  inner = keras.Sequential([keras.Input((4, 4, 6)), layers.Conv2D(2, 1, name="inner_conv")], name="inner")
  return keras.Model(image, layers.Dense(5, name="fc")(layers.Flatten()(inner(x + skip))))


def filled(model):
  """The model with random weights."""
  rng = np.random.default_rng(0)
  model.set_weights([rng.standard_normal(array.shape).astype(np.float32) for array in model.get_weights()])
  return model


def weights_by_name(model, counts):
  """The arrays of the model's layers, {"stem/0": ..., ...}, whose generated names `counts` translates."""
  arrays = {}
  for layer in model.layers:
    for inner in getattr(layer, "layers", [layer]):
      for index, array in enumerate(inner.get_weights()):
        arrays[f"{counts.get(inner.name, inner.name)}/{index}"] = array
  # The array of dropout is its seed.
  return {name: array for name, array in arrays.items() if not name.startswith("dropout")}


def counts(model):
  """Maps the names that Keras generated to names that are counted from 0 in the same order."""
  named = {}
  for stem in ("conv2d", "batch_normalization"):
    generated = [layer.name for layer in model.layers if layer.name.startswith(stem)]
    generated.sort(key=lambda name: int(name.removeprefix(stem).removeprefix("_") or 0))
    named |= {name: f"{stem}_{i}" if i else stem for i, name in enumerate(generated)}
  return named


def test_keras_3_layout_is_read(keras, tmp_path):
  """Keys do not depend on earlier models of the process; the state of the optimizer is left out."""
  for _ in range(2):
    model = filled(small_model(keras))
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((1, 8, 8, 3)), np.zeros((1, 5)))
    model.save_weights(tmp_path / "net.weights.h5")
    found = read(tmp_path / "net.weights.h5")
    assert_same_arrays(found, weights_by_name(model, counts(model)))
    names = {
      "stem/0",
      "stem_bn/3",
      "sep/1",
      "conv2d/0",
      "conv2d_1/1",
      "batch_normalization_1/3",
      "inner_conv/1",
    }
    assert names < set(found)
    assert [found[f"sep/{i}"].shape for i in (0, 1)] == [(3, 3, 4, 1), (1, 1, 4, 6)]


def test_arrays_of_a_layer_have_the_expected_order(keras, tmp_path):
  """Kernel, bias; gamma, beta, mean, variance: the order that key mappings assume for `/0`, `/1`, ..."""
  model = small_model(keras)
  by_name = {layer.name: layer for layer in model.layers}
  by_name["stem_bn"].set_weights([np.full(4, float(i)) for i in range(4)])
  kinds = [variable.name for variable in by_name["stem_bn"].weights]
  assert kinds == ["gamma", "beta", "moving_mean", "moving_variance"]
  assert [variable.name for variable in by_name["stem"].weights] == ["kernel", "bias"]
  assert [variable.name for variable in by_name["sep"].weights] == ["depthwise_kernel", "pointwise_kernel"]
  model.save_weights(tmp_path / "net.weights.h5")
  found = read(tmp_path / "net.weights.h5")
  assert [float(found[f"stem_bn/{i}"][0]) for i in range(4)] == [0, 1, 2, 3]


def test_whole_model_in_the_legacy_layout_is_read(keras, tmp_path):
  """`model.save("net.h5")` writes the state of the optimizer to another group."""
  for _ in range(2):
    model = filled(small_model(keras))
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((1, 8, 8, 3)), np.zeros((1, 5)))
    model.save(tmp_path / "net.h5")
    found = read(tmp_path / "net.h5")
    numbered = weights_by_name(model, counts(model))
    assert len(found) == len(numbered)
    np.testing.assert_array_equal(found["conv2d_1/kernel"], numbered["conv2d_1/0"])
    np.testing.assert_array_equal(found["batch_normalization/moving_mean"], numbered["batch_normalization/2"])
    np.testing.assert_array_equal(found["inner/inner_conv/bias"], numbered["inner_conv/1"])


def test_bfloat16_is_read(keras, tmp_path):
  """HDF5 has no bfloat16; in both layouts Keras writes bytes without a type."""
  dense = keras.layers.Dense(3, dtype="bfloat16", name="fc")
  model = keras.Sequential([keras.Input((4,)), dense])
  expected = np.float32(dense.get_weights()[0])
  model.save_weights(tmp_path / "net.weights.h5")
  np.testing.assert_array_equal(np.float32(read(tmp_path / "net.weights.h5")["fc/0"]), expected)
  model.save(tmp_path / "net.h5")
  kernel = next(array for name, array in read(tmp_path / "net.h5").items() if name.endswith("fc/kernel"))
  np.testing.assert_array_equal(np.float32(kernel), expected)


@pytest.mark.parametrize("file_name", ["vgg16.weights.h5", "vgg16.h5"])
def test_vgg16_of_keras_applications_is_loaded(keras, tmp_path, file_name):
  model = filled(keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3)))
  (model.save_weights if "weights" in file_name else model.save)(tmp_path / file_name)
  loaded, _ = load("vgg16", tmp_path / file_name)
  assert len(jax.tree.leaves(loaded)) == 26
  for name, layer in loaded["params"].items():
    kernel, bias = model.get_layer(keras_layer(name)).get_weights()
    np.testing.assert_array_equal(layer["kernel"], kernel)
    np.testing.assert_array_equal(layer["bias"], bias)


def test_generated_names_of_keras_1_are_counted_from_0(tmp_path):
  """Keras 1 counted from 1 and wrote no underscores; 10 comes after 2."""
  path = tmp_path / "net.h5"
  layers = {f"convolution2d_{i}": {f"convolution2d_{i}_W:0": np.full(2, i)} for i in (10, 1, 2)}
  layers["batchnormalization_3"] = {"batchnormalization_3_running_std:0": np.ones(3)}
  layers["my_conv2d_1"] = {"my_conv2d_1/kernel:0": np.ones(4)}
  write_keras(path, layers)
  found = read(path)
  assert found.pop("batch_normalization_running_std:0").shape == (3,)
  assert found.pop("my_conv2d_1/kernel:0").shape == (4,)
  assert {name: array[0] for name, array in found.items()} == {
    "conv2d_W:0": 1,
    "conv2d_1_W:0": 2,
    "conv2d_2_W:0": 10,
  }


def test_file_without_a_known_layout_is_refused(tmp_path):
  """HDF5 without weights, and with two layers of the same name."""
  path = tmp_path / "net.h5"
  with h5py.File(path, "w") as file:
    file["optimizer/vars/0"] = np.ones(3)
    file.create_group("layers/conv2d/vars")
  with pytest.raises(ValueError, match=r"expected Keras weights.*at the top are \['layers', 'optimizer'\]"):
    read(path)
  with h5py.File(path, "w") as file:
    for place in ("conv2d", "conv2d_1"):
      file[f"layers/{place}/vars/0"] = np.ones(3)
      file[f"layers/{place}/vars"].attrs["name"] = "stem"
  with pytest.raises(ValueError, match="two layers have the name 'stem'"):
    read(path)


def test_layer_without_a_name_is_named_by_its_path(tmp_path):
  path = tmp_path / "net.h5"
  with h5py.File(path, "w") as file:
    file["layers/dense/vars/0"] = np.ones(3)
  assert list(read(path)) == ["layers/dense/vars/0"]
