"""Messages about files that are not weights of VGG-16."""

import pathlib
import sys

import h5py
import numpy as np
import pytest
import safetensors.numpy

from ppool_jax.weights import load
from tests.helpers.weights import SHAPES, write_hollow, write_keras


def refusal(path, kind=ValueError, network="vgg16"):
  """The message of the error that `load` raises."""
  with pytest.raises(kind) as caught:
    load(network, path)
  return str(caught.value)


def test_unknown_network_is_refused_with_a_hint(tmp_path):
  message = refusal(tmp_path / "weights.h5", network="vgg61")
  assert "'vgg61'" in message
  assert "did you mean 'vgg16'" in message
  assert "expected one of vgg16" in refusal(tmp_path / "weights.h5", network=None)


def test_unknown_suffix_is_refused(tmp_path):
  path = tmp_path / "weights.ckpt"
  message = refusal(path)
  assert str(path) in message
  assert ".h5, .hdf5, .pth, .pt, .caffemodel, .safetensors" in message


@pytest.mark.parametrize(
  "name", ["missing.h5", "missing.pth", "missing.caffemodel", "missing.safetensors", "folder.h5"]
)
def test_missing_file_is_named(tmp_path, name):
  (tmp_path / "folder.h5").mkdir()
  assert str(tmp_path / name) in refusal(tmp_path / name, FileNotFoundError)


@pytest.mark.parametrize(
  ("suffix", "expected"),
  [
    (".h5", "layer_names"),
    (".pth", "state dict"),
    (".caffemodel", "Caffe model"),
    (".safetensors", "safetensors file"),
  ],
)
def test_file_of_another_format_is_refused(tmp_path, suffix, expected):
  """An HTML page instead of a download, an empty file, random bytes."""
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
def test_truncated_file_is_refused(tmp_path, suffix):
  """A download that was interrupted at several points."""
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


def test_h5_of_another_layout_is_refused(tmp_path):
  """HDF5 without a layout of Keras, or with attributes that name missing datasets."""
  path = tmp_path / "weights.h5"
  with h5py.File(path, "w") as file:
    file["layers/conv2d/0"] = np.ones(3)
  assert "layer_names" in refusal(path)
  with h5py.File(path, "w") as file:
    file.attrs["layer_names"] = ["block1_conv1"]
    file.create_group("block1_conv1").attrs["weight_names"] = ["block1_conv1_W_1:0"]
  assert str(path) in refusal(path)
  with h5py.File(path, "a") as file:
    file["block1_conv1/block1_conv1_W_1:0"] = h5py.Empty("f")
  assert "in the file instead: block1_conv1_W_1:0 []" in refusal(path)


def test_pth_is_refused_without_running_its_code(tmp_path):
  """A checkpoint that contains the state dict, and a pickle that would run code."""
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


def test_missing_torch_is_reported(tmp_path, monkeypatch):
  path = tmp_path / "weights.pth"
  path.write_bytes(b"any")
  monkeypatch.setitem(sys.modules, "torch", None)
  message = refusal(path, ImportError)
  assert str(path) in message
  assert "make env EXTRAS=torch" in message


def test_unknown_keys_are_listed_with_the_expected_ones(tmp_path):
  """The keys of the file, and those of Keras and torchvision."""
  path = tmp_path / "weights.safetensors"
  safetensors.numpy.save_file({"layer1.0.conv1.weight": np.ones((64, 64, 1, 1), np.float32)}, path)
  message = refusal(path)
  assert str(path) in message
  assert "in the file: layer1.0.conv1.weight [64, 64, 1, 1]" in message
  assert "(keras keys): block1_conv1/kernel [3, 3, 3, 64]" in message
  assert "(torchvision keys): features.0.weight [64, 3, 3, 3]" in message
  many = {f"array{i}": np.ones(1, np.float32) for i in range(50)}
  safetensors.numpy.save_file(many, path)
  assert "and 10 more" in refusal(path)


def test_missing_layer_is_listed(tmp_path):
  path = write_hollow(tmp_path / "weights.h5", change=lambda layers: layers.pop("block5_conv3"))
  expected, found = refusal(path).split("\n")[1:]
  assert expected == (
    "  expected by the network: block5_conv3/kernel [3, 3, 512, 512], block5_conv3/bias [512]"
  )
  assert found == "  in the file instead: nothing"


def test_additional_layer_is_refused(tmp_path):
  """VGG-19 has all layers of VGG-16, but is not read as VGG-16."""
  extra = {"block3_conv4_W_1:0": (3, 3, 256, 256)}
  path = write_hollow(tmp_path / "weights.h5", change=lambda layers: layers.update({"block3_conv4": extra}))
  message = refusal(path)
  assert str(path) in message
  assert "expected by the network: nothing" in message
  assert "in the file instead: block3_conv4_W_1:0 [3, 3, 256, 256]" in message


def test_wrong_shape_is_listed_in_the_file_s_layout(tmp_path):
  """A kernel in Theano's order."""
  wrong = {**SHAPES, "conv1_1": {"kernel": (64, 3, 3, 3), "bias": (64,)}}
  expected, found = refusal(write_hollow(tmp_path / "weights.h5", wrong)).split("\n")[1:]
  assert expected == "  expected by the network: block1_conv1/kernel [3, 3, 3, 64]"
  assert found == "  in the file instead: block1_conv1_W_1:0 [64, 3, 3, 3]"


def test_two_keys_for_one_array_are_refused(tmp_path):
  """The keys of two versions of Keras."""
  path = write_hollow(
    tmp_path / "weights.h5",
    change=lambda layers: layers["block1_conv1"].update({"block1_conv1/bias:0": (64,)}),
  )
  assert "in the file instead: block1_conv1/bias:0 [64]" in refusal(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, bad):
  path = write_hollow(tmp_path / "weights.h5", fill={"block2_conv1_b_1:0": bad})
  message = refusal(path)
  assert str(path) in message
  assert "block2_conv1_b_1:0: has NaN or infinity" in message


@pytest.mark.parametrize(("dtype", "part"), [(np.int32, "got int32"), (np.float64, "NaN or infinity")])
def test_weights_that_do_not_fit_float32_are_refused(tmp_path, dtype, part):
  """Integers, and float64 beyond the range of float32."""
  path = write_hollow(tmp_path / "weights.h5")
  with h5py.File(path, "a") as file:
    group = file["block4_conv2"]
    del group["block4_conv2_b_1:0"]
    group["block4_conv2_b_1:0"] = np.full(512, 1e9 if dtype == np.int32 else 1e300, dtype)
  message = refusal(path)
  assert "block4_conv2_b_1:0" in message
  assert part in message
