"""Converted weights, and the commands that convert, download and verify weight files."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from ppool_jax.weights import converted, load, pretrained
from ppool_jax.weights.__main__ import main
from ppool_jax.weights.catalog import CATALOG
from ppool_jax.weights.mappings import KEY_MAPPINGS, KeyMapping, ParamSpec
from ppool_jax.weights.preprocess import BN_INCEPTION, TF
from tests.helpers.weights import write_hollow

# A network of three arrays, the last of which belongs to the classifier.
TINY = (
  KeyMapping(
    "tiny",
    (
      ParamSpec(("params", "conv", "kernel"), (4, 3, 1, 1), ("conv.weight",), (2, 3, 1, 0)),
      ParamSpec(("batch_stats", "norm", "mean"), (4,), ("norm.mean",), (0,)),
      ParamSpec(("params", "classifier", "kernel"), (None, 4), ("fc.weight",), (1, 0), classifier=True),
    ),
    r"",
    TF,
    {"v1_5": True, "epsilon": 1.001e-5},
  ),
)


@pytest.fixture(autouse=True)
def networks(monkeypatch):
  monkeypatch.setitem(KEY_MAPPINGS, "tiny", TINY)
  monkeypatch.setitem(KEY_MAPPINGS, "other", TINY)


@pytest.fixture
def arrays():
  rng = np.random.default_rng(0)
  shapes = {"conv.weight": (4, 3, 1, 1), "norm.mean": (4,), "fc.weight": (10, 4)}
  return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


@pytest.fixture
def source(tmp_path, arrays):
  """A weight file that is not converted."""
  path = tmp_path / "source.safetensors"
  safetensors.numpy.save_file(arrays, path)
  return path


@pytest.fixture
def path(tmp_path, source):
  """The converted file."""
  assert main(["convert", str(source), "--model", "tiny", "--out", str(tmp_path / "out")]) == 0
  return tmp_path / "out" / "tiny.safetensors"


def assert_same(found, expected):
  found, expected = converted.flatten(found), converted.flatten(expected)
  assert sorted(found) == sorted(expected)
  for name in expected:
    np.testing.assert_array_equal(found[name], expected[name])
    assert found[name].dtype == np.float32


def failure(capsys, *arguments):
  """Runs a command that fails; returns its one line on stderr."""
  capsys.readouterr()
  assert main([str(argument) for argument in arguments]) == 1
  lines = capsys.readouterr().err.splitlines()
  assert len(lines) == 1
  assert lines[0].startswith("error: ")
  return lines[0]


def names(folder):
  return sorted(path.name for path in folder.rglob("*"))


def test_converted_weights_equal_their_source(source, path):
  """Variables, preprocessing and options, with and without the classifier."""
  for classifier in (False, True, None):
    expected, found = pretrained("tiny", source, classifier), pretrained("tiny", path, classifier)
    assert_same(found.variables, expected.variables)
    assert ("classifier" in found.variables["params"]) == (classifier is not False)
    assert found[1:] == expected[1:] == (TF, {"v1_5": True, "epsilon": 1.001e-5})
  assert_same(load("tiny", path)[0], load("tiny", source)[0])
  found = converted.read_converted(path)
  assert (found.network, found.source, found.classifier) == (
    "tiny",
    "source.safetensors",
    ("params/classifier/kernel",),
  )
  assert names(path.parent) == ["tiny.safetensors"]


def test_converted_file_is_valid_safetensors(source, path):
  """The data are aligned, and the keys are the paths of the variables."""
  kernel = safetensors.numpy.load_file(source)["conv.weight"].transpose(2, 3, 1, 0)
  np.testing.assert_array_equal(safetensors.numpy.load_file(path)["params/conv/kernel"], kernel)
  with safetensors.safe_open(path, framework="numpy") as file:
    assert json.loads(file.metadata()["preprocess"]) == TF.as_dict()
  assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0


def test_same_contents_give_the_same_bytes(source, path, tmp_path):
  variables, preprocess, options = pretrained("tiny", source, classifier=True)
  turned = {key: dict(reversed(value.items())) for key, value in reversed(variables.items())}
  options = dict(reversed(options.items()))
  classifier = ["params/classifier/kernel"]
  converted.write_converted(
    tmp_path / "again.safetensors", "tiny", turned, preprocess, options, source, classifier
  )
  assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_file_without_a_classifier_is_converted(tmp_path, arrays, capsys):
  del arrays["fc.weight"]
  safetensors.numpy.save_file(arrays, tmp_path / "backbone.safetensors")
  assert (
    main(["convert", str(tmp_path / "backbone.safetensors"), "--model", "tiny", "--out", str(tmp_path)]) == 0
  )
  assert "2 arrays, 16 numbers, without the classifier" in capsys.readouterr().out
  assert list(pretrained("tiny", tmp_path / "tiny.safetensors", None).variables["params"]) == ["conv"]
  with pytest.raises(ValueError, match="classifier, which was not converted"):
    pretrained("tiny", tmp_path / "tiny.safetensors", classifier=True)


def test_damaged_file_is_detected(path, capsys):
  """One bit of an array, one value of the options, the last byte."""
  content = path.read_bytes()
  for damaged in (
    content[:-1] + bytes([content[-1] ^ 1]),
    content.replace(b'"v1_5\\":true', b'"v1_5\\":null'),
  ):
    assert damaged != content
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="damaged: expected contents of SHA-256") as caught:
      load("tiny", path)
    assert str(path) in str(caught.value)
    assert "damaged" in failure(capsys, "verify", path)
  path.write_bytes(content[:-1])
  assert str(path) in failure(capsys, "verify", path)


def test_converted_weights_of_another_network_are_refused(path):
  with pytest.raises(ValueError, match="expected converted weights of other, got those of tiny") as caught:
    load("other", path)
  assert str(path) in str(caught.value)


def test_other_files_are_not_converted_weights(source, tmp_path):
  for other in (source, tmp_path / "missing.safetensors", tmp_path / "net.h5", tmp_path):
    assert not converted.is_converted(other)
  with pytest.raises(ValueError, match="expected converted weights"):
    converted.read_converted(source)


def test_failed_write_leaves_the_file_unchanged(source, path, monkeypatch):
  """No temporary file remains."""
  content = path.read_bytes()
  variables, *rest = pretrained("tiny", source)
  variables["params"]["conv"]["kernel"] += 1

  def full(_):
    raise OSError("No space left on device")

  with monkeypatch.context() as patch:
    patch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
      converted.write_converted(path, "tiny", variables, *rest, source)
  variables["params"]["conv"]["kernel"] = np.zeros(3)
  with pytest.raises(ValueError, match="params/conv/kernel: expected float32, got float64"):
    converted.write_converted(path, "tiny", variables, *rest, source)
  assert path.read_bytes() == content
  assert names(path.parent) == ["tiny.safetensors"]


def test_converted_weights_need_no_other_library(tmp_path):
  """VGG-16 of a Keras file, without PyTorch, h5py and protobuf."""
  source = write_hollow(tmp_path / "vgg16.h5", fill={"block5_conv3_b_1:0": 3.0})
  assert main(["convert", str(source), "--model", "vgg16", "--out", str(tmp_path)]) == 0
  program = f"""
import sys
for name in ("torch", "h5py", "google.protobuf"):
  sys.modules[name] = None
from ppool_jax.weights import load
variables, preprocess = load("vgg16", {str(tmp_path / "vgg16.safetensors")!r})
print(len(variables["params"]), variables["params"]["conv5_3"]["bias"].sum(), preprocess.order)
"""
  ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
  assert ran.stdout.split() == ["13", "1536.0", "BGR"], ran.stderr
  (tmp_path / "vgg16.safetensors").unlink()


def test_list_prints_the_catalog(capsys):
  assert main(["list"]) == 0
  printed = capsys.readouterr().out
  for file in CATALOG.values():
    assert all(part in printed for part in (file.name, file.network, file.described_hash, file.url))
  assert "BGR, 0..255, minus 103.939 116.779 123.68" in printed
  assert "RGB, 0..1, minus 0.5 0.5 0.5, divided by 0.5 0.5 0.5" in printed


def test_fetch_and_verify_check_the_hash(tmp_path, monkeypatch, capsys):
  """An unknown name is refused with a suggestion."""
  known = dataclasses.replace(CATALOG["vgg16-397923af.pth"], size=4, hash="9f86d081", name="vgg16-x.pth")
  monkeypatch.setitem(CATALOG, known.name, known)
  (tmp_path / "vgg16-x.pth").write_bytes(b"test")
  assert main(["fetch", "vgg16-x.pth", "--out", str(tmp_path)]) == 0
  assert "4 bytes, sha256-prefix 9f86d081 as published" in capsys.readouterr().out
  assert main(["verify", str(tmp_path / "vgg16-x.pth")]) == 0
  (tmp_path / "vgg16-x.pth").write_bytes(b"text")
  assert "expected sha256-prefix 9f86d081" in failure(capsys, "fetch", "vgg16-x.pth", "--out", tmp_path)
  assert "expected sha256-prefix 9f86d081" in failure(capsys, "verify", tmp_path / "vgg16-x.pth")
  assert "did you mean 'vgg16-x.pth'" in failure(capsys, "fetch", "vgg16-y.pth", "--out", tmp_path / "new")
  assert names(tmp_path) == ["vgg16-x.pth"]


def test_verify_identifies_files(source, path, capsys):
  """A converted file by its metadata, another file by the networks that it fits."""
  assert main(["verify", str(path)]) == 0
  printed = capsys.readouterr().out
  assert "undamaged; tiny from source.safetensors" in printed
  assert "3 arrays, 56 numbers, with the classifier" in printed
  assert main(["verify", str(source)]) == 0
  printed = capsys.readouterr().out
  assert "fits tiny (tiny keys, RGB, 0..1" in printed
  assert "other (tiny keys" in printed


def test_errors_leave_nothing_behind(tmp_path, arrays, capsys):
  """Wrong model, missing layer, broken or missing file, a file instead of a directory."""
  broken, missing, good = (tmp_path / f"{name}.safetensors" for name in ("broken", "missing", "good"))
  safetensors.numpy.save_file(arrays, good)
  broken.write_bytes(good.read_bytes()[:-1])
  safetensors.numpy.save_file({"conv.weight": arrays["conv.weight"]}, missing)
  before = names(tmp_path)
  for file, model, message in [
    (good, "vgg16", "no key is known"),
    (good, "tiny2", "did you mean 'tiny'"),
    (missing, "tiny", "expected by the network: norm.mean [4]"),
    (broken, "tiny", "expected a safetensors file"),
    (tmp_path / "gone.h5", "tiny", "no such file"),
    (tmp_path / "readme.txt", "tiny", "expected a suffix among .h5"),
  ]:
    assert message in failure(capsys, "convert", file, "--model", model, "--out", tmp_path / "new")
  assert "good.safetensors" in failure(capsys, "convert", good, "--model", "tiny", "--out", good)
  assert "fits none of vgg16" in failure(capsys, "verify", missing)
  assert "no such file" in failure(capsys, "verify", tmp_path / "gone.pth")
  assert names(tmp_path) == before


def test_every_command_has_help(capsys):
  for command in ([], ["list"], ["fetch"], ["convert"], ["verify"]):
    with pytest.raises(SystemExit) as caught:
      main([*command, "--help"])
    assert caught.value.code == 0
    assert "python -m ppool_jax.weights" in capsys.readouterr().out


def test_published_preprocessings_have_the_expected_ranges():
  """-1..1 for Xception of Keras and Cadene; BGR minus its own means for Cadene's BN-Inception."""
  images = np.stack([np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)])
  np.testing.assert_allclose(TF(images)[:, 0, 0], [[-1] * 3, [1] * 3], atol=1e-6)
  np.testing.assert_allclose(BN_INCEPTION(images)[:, 0, 0], [[-104, -117, -128], [151, 138, 127]])
