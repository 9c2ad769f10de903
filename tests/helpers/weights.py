"""Writes weight files of VGG-16 with the keys and layouts of Keras and torchvision."""

import h5py
import numpy as np

# Written out again, so that a mistake in the mappings of the package is not repeated here.
CHANNELS = {
  "conv1_1": (3, 64), "conv1_2": (64, 64),
  "conv2_1": (64, 128), "conv2_2": (128, 128),
  "conv3_1": (128, 256), "conv3_2": (256, 256), "conv3_3": (256, 256),
  "conv4_1": (256, 512), "conv4_2": (512, 512), "conv4_3": (512, 512),
  "conv5_1": (512, 512), "conv5_2": (512, 512), "conv5_3": (512, 512),
}  # fmt: skip
TORCH_INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
STAGES = {s: [name for name in CHANNELS if name.startswith(f"conv{s}")] for s in range(1, 6)}
SHAPES = {name: {"kernel": (3, 3, *channels), "bias": channels[1:]} for name, channels in CHANNELS.items()}
OLD, NEW = ("_W_1:0", "_b_1:0"), ("/kernel:0", "/bias:0")
PHOTOS = ("n02124075_Egyptian_cat", "n02206856_bee", "n04548280_wall_clock", "n07714990_broccoli")


def keras_layer(name):
  """conv1_2 to block1_conv2."""
  return f"block{name[4]}_conv{name[6]}"


def keras_keys(params, style):
  """{"block1_conv1": {"block1_conv1_W_1:0": kernel, ...}, ...}, with an empty layer and a classifier."""
  layers = {"input_1": {}}
  for name, layer in params.items():
    key = keras_layer(name)
    layers[key] = {key + style[0]: layer["kernel"], key + style[1]: layer["bias"]}
  layers["fc1"] = {"fc1" + style[0]: np.zeros((4, 2), np.float32), "fc1" + style[1]: np.zeros(2, np.float32)}
  return layers


def flat_keras_keys(params, style):
  """{"block1_conv1_W_1:0": kernel, ...}."""
  return {name: array for layer in keras_keys(params, style).values() for name, array in layer.items()}


def torch_keys(params):
  """torchvision's state dict, OIHW, with an array of the classifier."""
  state = {"classifier.0.weight": np.zeros((2, 4), np.float32)}
  for index, layer in zip(TORCH_INDICES, params.values(), strict=True):
    state[f"features.{index}.weight"] = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
    state[f"features.{index}.bias"] = layer["bias"]
  return state


def write_keras(path, layers, create=lambda group, name, array: group.create_dataset(name, data=array)):
  """Writes arrays by layer and name in the legacy layout of Keras."""
  with h5py.File(path, "w") as file:
    file.attrs["layer_names"] = np.array(list(layers), "S")
    for layer, weights in layers.items():
      group = file.create_group(layer)
      group.attrs["weight_names"] = np.array(list(weights), "S")
      for name, array in weights.items():
        create(group, name, array)


def write_hollow(path, shapes=SHAPES, fill=None, change=lambda layers: None):
  """Writes a Keras file of a few kilobytes, whose datasets read as 0, or `fill[name]`, but are not stored."""

  def create(group, name, shape):
    group.create_dataset(name, shape, np.float32, fillvalue=(fill or {}).get(name, 0))

  layers = {layer: dict(weights) for layer, weights in keras_keys(shapes, OLD).items() if layer != "fc1"}
  change(layers)
  write_keras(path, layers, create)
  return path


def assert_same_arrays(found, expected):
  """Checks that two flat dicts have the same keys and arrays."""
  assert sorted(found) == sorted(expected)
  for name in expected:
    np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def random_params(dtype=np.float32):
  """{"conv1_1": {"kernel": [3, 3, 3, 64], "bias": [64]}, ...}."""
  rng = np.random.default_rng(0)
  return {
    name: {kind: rng.standard_normal(shape, np.float32).astype(dtype) for kind, shape in shapes.items()}
    for name, shapes in SHAPES.items()
  }
