"""Weights of others: every format and naming, the real VGG-16 against independent computations, errors."""

import json
import os
import pathlib
import sys

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from ppool_jax.models import backbone
from ppool_jax.weights import Preprocess, load
from ppool_jax.weights.preprocess import CAFFE, TORCHVISION

# Written out once more, so that a mistake in the tables of the package is not repeated here.
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


def keras_names(params, style):
  """{"block1_conv1": {"block1_conv1_W_1:0": kernel, ...}, ...}, with empty layers and a top."""
  layers = {"input_1": {}}
  for name, layer in params.items():
    ours = keras_layer(name)
    layers[ours] = {ours + style[0]: layer["kernel"], ours + style[1]: layer["bias"]}
  layers["fc1"] = {"fc1" + style[0]: np.zeros((4, 2), np.float32), "fc1" + style[1]: np.zeros(2, np.float32)}
  return layers


def flat_keras_names(params, style):
  return {name: array for layer in keras_names(params, style).values() for name, array in layer.items()}


def torch_names(params):
  """torchvision's state dict, in OIHW, with an array of the classifier."""
  state = {"classifier.0.weight": np.zeros((2, 4), np.float32)}
  for index, layer in zip(TORCH_INDICES, params.values(), strict=True):
    state[f"features.{index}.weight"] = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
    state[f"features.{index}.bias"] = layer["bias"]
  return state


def write_keras(path, layers, create=lambda group, name, array: group.create_dataset(name, data=array)):
  with h5py.File(path, "w") as file:
    file.attrs["layer_names"] = np.array(list(layers), "S")
    for layer, weights in layers.items():
      group = file.create_group(layer)
      group.attrs["weight_names"] = np.array(list(weights), "S")
      for name, array in weights.items():
        create(group, name, array)


def write_hollow(path, shapes=SHAPES, fill=None, change=lambda layers: None):
  """A Keras file of a few kilobytes: data sets that read as 0, or `fill[name]`, without being stored."""

  def create(group, name, shape):
    group.create_dataset(name, shape, np.float32, fillvalue=(fill or {}).get(name, 0))

  layers = {layer: dict(weights) for layer, weights in keras_names(shapes, OLD).items() if layer != "fc1"}
  change(layers)
  write_keras(path, layers, create)
  return path


def random_params(dtype=np.float32):
  rng = np.random.default_rng(0)
  return {
    name: {kind: rng.standard_normal(shape, np.float32).astype(dtype) for kind, shape in shapes.items()}
    for name, shapes in SHAPES.items()
  }


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


# The real weights and photographs.


@pytest.fixture(scope="module")
def real():
  """The file of the VGG team's weights."""
  if "PPOOL_ASSETS" not in os.environ:
    pytest.skip("PPOOL_ASSETS is not set: it names the folder of real weights and photographs")
  return pathlib.Path(os.environ["PPOOL_ASSETS"], "weights", "vgg16_notop_keras_layout.h5")


@pytest.fixture(scope="module")
def photographs(real):
  """uint8 [4, 96, 128, 3]: the middles of four photographs."""
  crops = []
  for name in PHOTOS:
    image = Image.open(real.parents[1] / "imagenet_samples" / f"{name}.jpg").convert("RGB")
    left, top = (image.width - 128) // 2, (image.height - 96) // 2
    crops.append(np.asarray(image.crop((left, top, left + 128, top + 96))))
  return np.stack(crops)


@pytest.fixture(scope="module")
def features(real, photographs):
  """Every feature of the photographs, through `load` and the model with max pooling."""
  variables, preprocess = load("vgg16", real)
  return jax.jit(backbone("vgg16", pool="max").apply)(variables, preprocess(photographs))


def raw(real):
  """{"conv1_1": (kernel, bias), ...}, read without the package."""
  with h5py.File(real) as file:
    layers = {name: file[keras_layer(name)] for name in CHANNELS}
    return {
      name: [group[f"{keras_layer(name)}_{kind}_1:0"][()] for kind in "Wb"] for name, group in layers.items()
    }


def assert_close(actual, expected, name, bound=1e-4):
  """The largest difference relative to the largest value."""
  actual = np.asarray(actual)
  assert actual.shape == expected.shape, name
  difference = np.abs(actual - expected).max() / np.abs(expected).max()
  print(f"{name}: relative difference {difference:.2e}")
  assert difference < bound, name


def test_real_file(real):
  """13 layers, nested and shaped as the model's parameters are."""
  variables, preprocess = load("vgg16", real)
  assert len(variables["params"]) == 13
  kernel, bias = variables["params"]["conv1_1"]["kernel"], variables["params"]["conv1_1"]["bias"]
  # As published in printouts of the original.
  np.testing.assert_allclose((kernel[0, 0, 0, 0], bias[0]), (0.42947057, 0.73429835), rtol=1e-6)
  images = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
  wanted = jax.eval_shape(backbone("vgg16").init, jax.random.key(0), images)
  jax.tree.map(
    lambda ours, theirs: np.testing.assert_equal(ours.shape, theirs.shape), variables, dict(wanted)
  )
  assert preprocess == CAFFE


def test_features_of_photographs_against_torch(real, photographs, features):
  """PyTorch's convolutions and pools on the file's arrays give the same conv1..conv5 and pool1..pool5."""
  torch = pytest.importorskip("torch")
  functional = torch.nn.functional
  bgr = photographs[..., [2, 1, 0]].astype(np.float32) - np.array([103.939, 116.779, 123.68], np.float32)
  x, layers = torch.from_numpy(bgr.transpose(0, 3, 1, 2)), raw(real)
  for stage, names in STAGES.items():
    for name in names:
      kernel, bias = map(torch.from_numpy, layers[name])
      x = functional.relu(functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=1))
    assert_close(features[f"conv{stage}"], x.permute(0, 2, 3, 1).numpy(), f"conv{stage}")
    # SAME for windows of 2 with stride 1 pads below and to the right.
    x = functional.max_pool2d(x, 2) if stage < 5 else functional.max_pool2d(
      functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, 1)  # fmt: skip
    assert_close(features[f"pool{stage}"], x.permute(0, 2, 3, 1).numpy(), f"pool{stage}")


def numpy_conv(x, kernel, bias):
  """3x3, SAME, then ReLU, of [H, W, C], as one product of matrices in float64."""
  height, width, channels = x.shape
  padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
  windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1)).transpose(0, 1, 3, 4, 2)
  product = windows.reshape(-1, 9 * channels) @ kernel.astype(np.float64).reshape(9 * channels, -1)
  return np.maximum(product.reshape(height, width, -1) + bias, 0)


def numpy_pool(x, stride):
  """2x2 maxima; with stride 1 the last row and column are windows of what there is."""
  if stride == 1:
    x = np.pad(x, ((0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
  windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (0, 1))
  return windows[::stride, ::stride].max((-2, -1))


def test_features_of_a_crop_against_numpy(real, photographs):
  """The same without PyTorch, in float64, on 48 x 64 pixels."""
  crop = photographs[0, :48, :64]
  variables, preprocess = load("vgg16", real)
  features = jax.jit(backbone("vgg16", pool="max").apply)(variables, preprocess(crop[None]))
  x, layers = crop[..., ::-1] - np.array([103.939, 116.779, 123.68]), raw(real)
  for stage, names in STAGES.items():
    for name in names:
      x = numpy_conv(x, *layers[name])
    assert_close(features[f"conv{stage}"][0], x, f"conv{stage}")
    x = numpy_pool(x, 2 if stage < 5 else 1)
    assert_close(features[f"pool{stage}"][0], x, f"pool{stage}")


def test_p_pooling_starts_near_max_pooling(real, photographs, features):
  """At its initial alpha, 20, P-pooling leaves what pre-trained convolutions see almost unchanged."""
  variables, preprocess = load("vgg16", real)
  model = backbone("vgg16", pool=("ppool", {}))
  images = preprocess(photographs)
  pools = jax.jit(lambda key: {k: v for k, v in model.init(key, images[:1])["params"].items() if "pool" in k})
  merged = {"params": {**pools(jax.random.key(0)), **variables["params"]}}
  polynomial = np.asarray(jax.jit(model.apply)(merged, images)["conv5"])
  for name, ours, maximum in zip(PHOTOS, polynomial, np.asarray(features["conv5"]), strict=True):
    cosine = np.vdot(ours, maximum) / (np.linalg.norm(ours) * np.linalg.norm(maximum))
    distance = np.linalg.norm(ours - maximum) / np.linalg.norm(maximum)
    print(f"{name}: cosine {cosine:.6f}, relative L2 {distance:.4f}")
    assert cosine > 0.999, name


# Errors: the file, what was expected and what there is.


def refusal(path, kind=ValueError, network="vgg16"):
  """The message of the error that `load` raises."""
  with pytest.raises(kind) as caught:
    load(network, path)
  return str(caught.value)


def test_unknown_network(tmp_path):
  message = refusal(tmp_path / "weights.h5", network="vgg61")
  assert "'vgg61'" in message
  assert "did you mean 'vgg16'" in message
  assert "expected one of vgg16" in refusal(tmp_path / "weights.h5", network=None)


def test_unknown_suffix(tmp_path):
  path = tmp_path / "weights.caffemodel"
  message = refusal(path)
  assert str(path) in message
  assert ".h5, .hdf5, .pth, .pt, .safetensors" in message


@pytest.mark.parametrize("name", ["missing.h5", "missing.pth", "missing.safetensors", "folder.h5"])
def test_missing_file(tmp_path, name):
  (tmp_path / "folder.h5").mkdir()
  assert str(tmp_path / name) in refusal(tmp_path / name, FileNotFoundError)


@pytest.mark.parametrize(
  ("suffix", "expected"),
  [(".h5", "layer_names"), (".pth", "state dict"), (".safetensors", "safetensors file")],
)
def test_file_of_another_format(tmp_path, suffix, expected):
  """A page of HTML in the place of a download, an empty file, random bytes."""
  if suffix == ".pth":
    pytest.importorskip("torch")
  path = tmp_path / f"weights{suffix}"
  for content in (b"<!DOCTYPE html><html>404</html>", b"", np.random.default_rng(0).bytes(1000)):
    path.write_bytes(content)
    message = refusal(path)
    assert str(path) in message
    assert expected in message
    assert repr(content[:16]) in message


@pytest.mark.parametrize("suffix", [".h5", ".pth", ".safetensors"])
def test_truncated_file(tmp_path, suffix):
  """A download that broke off, at several places."""
  path, arrays = tmp_path / f"weights{suffix}", {"features.0.bias": np.ones(64, np.float32)}
  if suffix == ".h5":
    write_keras(path, {"block1_conv1": {"block1_conv1_b_1:0": np.ones(64, np.float32)}})
  elif suffix == ".pth":
    torch = pytest.importorskip("torch")
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
  else:
    safetensors.numpy.save_file(arrays, path)
  content = path.read_bytes()
  for part in (0.1, 0.5, 0.9, 0.99):
    path.write_bytes(content[: int(part * len(content))])
    message = refusal(path)
    assert str(path) in message
    assert "the file begins with" in message


def test_h5_of_another_layout(tmp_path):
  """HDF5, but not of Keras's legacy layout, or with attributes that name what is not there."""
  path = tmp_path / "weights.h5"
  with h5py.File(path, "w") as file:
    file["layers/conv2d/vars/0"] = np.ones(3)
  assert "layer_names" in refusal(path)
  with h5py.File(path, "w") as file:
    file.attrs["layer_names"] = ["block1_conv1"]
    file.create_group("block1_conv1").attrs["weight_names"] = ["block1_conv1_W_1:0"]
  assert str(path) in refusal(path)
  with h5py.File(path, "a") as file:
    file["block1_conv1/block1_conv1_W_1:0"] = h5py.Empty("f")
  assert "in the file instead: block1_conv1_W_1:0 []" in refusal(path)


def test_pth_that_is_no_state_dict(tmp_path):
  """A checkpoint around the state dict, and a pickle that would run code: it does not."""
  torch = pytest.importorskip("torch")
  path, canary = tmp_path / "weights.pth", tmp_path / "canary"
  torch.save({"state_dict": {}, "epoch": 3}, path)
  assert "a dict of ['state_dict', 'epoch']" in refusal(path)

  class Hostile:
    def __reduce__(self):
      return pathlib.Path.touch, (canary,)

  torch.save({0: torch.ones(1)}, path)
  assert "a dict of [0]" in refusal(path)
  torch.save({"features.0.weight": Hostile()}, path)
  message = refusal(path)
  assert str(path) in message
  assert "more than tensors" in message
  assert "`weights_only` set to `False`" not in message
  assert not canary.exists()


def test_pth_without_torch(tmp_path, monkeypatch):
  path = tmp_path / "weights.pth"
  path.write_bytes(b"any")
  monkeypatch.setitem(sys.modules, "torch", None)
  message = refusal(path, ImportError)
  assert str(path) in message
  assert "make env EXTRAS=torch" in message


def test_no_name_is_known(tmp_path):
  """Both sides: the file's names, and those of Keras and torchvision."""
  path = tmp_path / "weights.safetensors"
  safetensors.numpy.save_file({"layer1.0.conv1.weight": np.ones((64, 64, 1, 1), np.float32)}, path)
  message = refusal(path)
  assert str(path) in message
  assert "in the file: layer1.0.conv1.weight [64, 64, 1, 1]" in message
  assert "(keras names): block1_conv1/kernel [3, 3, 3, 64]" in message
  assert "(torchvision names): features.0.weight [64, 3, 3, 3]" in message
  many = {f"array{i}": np.ones(1, np.float32) for i in range(50)}
  safetensors.numpy.save_file(many, path)
  assert "and 10 more" in refusal(path)


def test_missing_layer(tmp_path):
  path = write_hollow(tmp_path / "weights.h5", change=lambda layers: layers.pop("block5_conv3"))
  wanted, held = refusal(path).split("\n")[1:]
  assert wanted == ("  wanted by the network: block5_conv3/kernel [3, 3, 512, 512], block5_conv3/bias [512]")
  assert held == "  in the file instead: nothing"


def test_layer_too_many(tmp_path):
  """VGG-19 has the layers of VGG-16 and more: it is not VGG-16 with the rest ignored."""
  extra = {"block3_conv4_W_1:0": (3, 3, 256, 256)}
  path = write_hollow(tmp_path / "weights.h5", change=lambda layers: layers.update({"block3_conv4": extra}))
  message = refusal(path)
  assert str(path) in message
  assert "wanted by the network: nothing" in message
  assert "in the file instead: block3_conv4_W_1:0 [3, 3, 256, 256]" in message


def test_wrong_shape(tmp_path):
  """Both shapes, in the file's layout: here a kernel in Theano's order."""
  wrong = {**SHAPES, "conv1_1": {"kernel": (64, 3, 3, 3), "bias": (64,)}}
  wanted, held = refusal(write_hollow(tmp_path / "weights.h5", wrong)).split("\n")[1:]
  assert wanted == "  wanted by the network: block1_conv1/kernel [3, 3, 3, 64]"
  assert held == "  in the file instead: block1_conv1_W_1:0 [64, 3, 3, 3]"


def test_the_same_array_twice(tmp_path):
  """Two spellings of one name: neither is preferred in silence."""
  path = write_hollow(
    tmp_path / "weights.h5",
    change=lambda layers: layers["block1_conv1"].update({"block1_conv1/bias:0": (64,)}),
  )
  assert "in the file instead: block1_conv1/bias:0 [64]" in refusal(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(tmp_path, bad):
  path = write_hollow(tmp_path / "weights.h5", fill={"block2_conv1_b_1:0": bad})
  message = refusal(path)
  assert str(path) in message
  assert "block2_conv1_b_1:0: holds NaN or infinity" in message


@pytest.mark.parametrize(("dtype", "part"), [(np.int32, "got int32"), (np.float64, "NaN or infinity")])
def test_weights_that_are_not_float32(tmp_path, dtype, part):
  """Integers, and float64 beyond the range of float32."""
  path = write_hollow(tmp_path / "weights.h5")
  with h5py.File(path, "a") as file:
    group = file["block4_conv2"]
    del group["block4_conv2_b_1:0"]
    group["block4_conv2_b_1:0"] = np.full(512, 1e9 if dtype == np.int32 else 1e300, dtype)
  message = refusal(path)
  assert "block4_conv2_b_1:0" in message
  assert part in message


# Preprocessing.


def test_channel_order_and_scale():
  """A pure red image: its 255 is the last channel for Keras and the first for torchvision."""
  red = np.zeros((1, 2, 2, 3), np.uint8)
  red[..., 0] = 255
  keras, torchvision = CAFFE(red), TORCHVISION(red)
  assert keras.dtype == torchvision.dtype == np.float32
  assert keras.shape == red.shape
  np.testing.assert_allclose(keras[0, 0, 0], (-103.939, -116.779, 255 - 123.68), rtol=1e-6)
  expected = ((1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225)
  np.testing.assert_allclose(torchvision[0, 0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("preprocess", [CAFFE, TORCHVISION])
def test_numpy_jax_and_floating_images_agree(preprocess):
  images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), np.uint8)
  expected = preprocess(images)
  assert isinstance(expected, np.ndarray)
  for other in (jnp.asarray(images), jnp.asarray(images, jnp.float32), images.astype(np.float64)):
    result = preprocess(other)
    assert isinstance(result, jax.Array) == isinstance(other, jax.Array)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
  compiled = jax.jit(preprocess)(jnp.asarray(images[0]))
  np.testing.assert_allclose(compiled, expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("preprocess", [CAFFE, TORCHVISION])
def test_mean_rgb_becomes_almost_zero(preprocess):
  """Within half a grey level."""
  grey_level = preprocess.scale / min(preprocess.std)
  colour = np.array(preprocess.mean_rgb, np.uint8)
  assert np.abs(preprocess(colour)).max() <= grey_level / 2
  assert preprocess.mean_rgb == {"BGR": (124, 117, 104), "RGB": (124, 116, 104)}[preprocess.order]
  assert all(type(value) is int for value in preprocess.mean_rgb)


def test_mean_rgb_stays_a_colour():
  assert Preprocess(mean=(-1, 300, 0.6)).mean_rgb == (0, 255, 1)


@pytest.mark.parametrize("preprocess", [CAFFE, TORCHVISION, Preprocess(mean=(1, 2, 3))])
def test_json_round_trip(preprocess):
  restored = Preprocess.from_dict(json.loads(json.dumps(preprocess.as_dict())))
  assert restored == preprocess
  assert hash(restored) == hash(preprocess)


@pytest.mark.parametrize(
  ("fields", "part"),
  [
    ({"mean": (1, 2)}, "mean: expected 3 finite numbers, got (1, 2)"),
    ({"mean": "abc"}, "mean: expected 3 finite numbers, got 'abc'"),
    ({"mean": (0, np.nan, 0)}, "mean: expected 3 finite numbers"),
    ({"mean": (0, 0, 0), "std": (1, 0, 1)}, "std: expected 3 positive, finite numbers"),
    ({"mean": (0, 0, 0), "scale": -1}, "scale: expected 1 positive, finite number, got [-1]"),
    ({"mean": (0, 0, 0), "order": "rgb"}, """order: expected "RGB" or "BGR", got 'rgb'"""),
  ],
)
def test_preprocess_is_validated(fields, part):
  with pytest.raises(ValueError, match="expected") as caught:
    Preprocess(**fields)
  assert part in str(caught.value)


def test_preprocess_from_a_damaged_record():
  fields = CAFFE.as_dict()
  with pytest.raises(ValueError, match=r"expected the keys .*'mean'.*, got .*'median'"):
    Preprocess.from_dict({**fields, "median": 0})
  with pytest.raises(ValueError, match="expected the keys"):
    Preprocess.from_dict({"order": "RGB"})


def test_images_are_validated():
  with pytest.raises(ValueError, match=r"expected shape \[\.\.\., 3\] \(RGB\), got \[1, 4, 4, 4\]"):
    CAFFE(np.zeros((1, 4, 4, 4), np.uint8))
  for wrong in (np.zeros((2, 2, 3), np.int32), [[0, 0, 0]]):
    with pytest.raises(TypeError, match="expected an array, uint8 or floating"):
      CAFFE(wrong)
