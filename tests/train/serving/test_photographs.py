"""Predictions and alpha maps of photographs."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers.analysis import alpha_maps
from tests.helpers.serving import load_image
from train.evaluation.predictor import Predictor
from train.experiment.run import open_run
from train.serving.photographs import predict
from train.submission.images import find_images


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("photographs")
  draw = np.random.default_rng(0)
  for name, shape in (("a.png", (40, 50, 3)), ("b.jpg", (33, 64, 3))):
    Image.fromarray(draw.integers(0, 256, shape, np.uint8)).save(folder / name)
  return folder


def test_predictions_are_palette_images_of_the_same_size(pool_runs, photographs, tmp_path):
  predict(pool_runs / "ppool", str(photographs / "*"), tmp_path, None, alpha=True, channels=[0, 3])
  run = open_run(pool_runs / "ppool")
  for name, size in (("a", (50, 40)), ("b", (64, 33))):
    image = load_image(tmp_path / f"{name}.png")
    assert (image.mode, image.size) == ("P", size)
    source = next(photographs.glob(f"{name}.*"))
    expected = Predictor(run.experiment, run.config)(run.variables, np.asarray(load_image(source))[None])[0]
    np.testing.assert_array_equal(np.asarray(image), expected)
    assert image.getpalette()[: 3 * 2] == run.experiment.table.palette()[:2].ravel().tolist()
    assert load_image(tmp_path / f"{name}-overlay.png").size == size
    for kind in ("pool1", "pool2", "means"):
      assert np.asarray(load_image(tmp_path / f"{name}-alpha-{kind}.png")).std() > 5


def test_invalid_photographs_and_options_are_refused(pool_runs, photographs, tmp_path):
  (tmp_path / "a.png").write_bytes((photographs / "a.png").read_bytes()[:60])
  with pytest.raises(ValueError, match=r"a\.png: not a readable image"):
    predict(pool_runs / "max", str(tmp_path / "a.png"), tmp_path / "out", None, alpha=False, channels=None)
  with pytest.raises(FileNotFoundError, match=r"none/\*: no such files"):
    predict(pool_runs / "max", "none/*", tmp_path / "out", None, alpha=False, channels=None)
  with pytest.raises(ValueError, match="this network has no P-pooling"):
    predict(pool_runs / "max", str(photographs / "a.png"), tmp_path / "out", None, alpha=True, channels=None)
  with pytest.raises(ValueError, match=r"expected 0..15 for pool1, got 16"):
    predict(
      pool_runs / "ppool", str(photographs / "a.png"), tmp_path / "out", None, alpha=True, channels=[16]
    )
  with pytest.raises(ValueError, match=r"expected a checkpoint of step 2, got \[3\]|expected a checkpoint"):
    predict(pool_runs / "max", str(photographs / "a.png"), tmp_path / "out", 77, alpha=False, channels=None)


def refuse(run, images, out, message, alpha=False):
  before = {path: path.read_bytes() for path in out.iterdir()}
  with pytest.raises(ValueError, match=message):
    predict(run, str(images), out, None, alpha=alpha, channels=None)
  assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_results_replace_only_earlier_results(pool_runs, photographs, tmp_path):
  """Photographs, ground truth and other files of the output folder stay as they are."""
  run = pool_runs / "max"
  for file in photographs.iterdir():
    (tmp_path / file.name).write_bytes(file.read_bytes())
  refuse(run, tmp_path / "*.png", tmp_path, r"a\.png exists and is no earlier prediction")
  for _ in range(2):
    predict(run, str(tmp_path / "b.jpg"), tmp_path, None, alpha=False, channels=None)
  refuse(run, tmp_path / "b*", tmp_path, r"b-overlay\.png was written by train\.predict")
  (tmp_path / "b-alpha-pool1.png").write_bytes(b"mine")
  refuse(pool_runs / "ppool", tmp_path / "b.jpg", tmp_path, "b-alpha-pool1.png exists", alpha=True)


@pytest.mark.parametrize("other", ["a.png", "a-overlay.jpg", "a-alpha-pool1.jpg"])
def test_results_of_one_name_are_refused(pool_runs, photographs, tmp_path, other):
  for name in ("a.jpg", other):
    (tmp_path / name).write_bytes((photographs / "b.jpg").read_bytes())
  alpha = "alpha" in other
  run = pool_runs / ("ppool" if alpha else "max")
  refuse(run, tmp_path / "*", tmp_path, r"results of .* and .* overwrite each other", alpha)


def test_a_dangling_link_is_not_written_through(pool_runs, photographs, tmp_path):
  (tmp_path / "out").mkdir()
  (tmp_path / "out" / "b.png").symlink_to(tmp_path / "elsewhere.png")
  with pytest.raises(ValueError, match=r"b\.png exists"):
    predict(pool_runs / "max", str(photographs / "b.jpg"), tmp_path / "out", None, alpha=False, channels=None)
  assert not (tmp_path / "elsewhere.png").exists()


def test_a_literal_name_wins_over_a_pattern(photographs, tmp_path):
  (tmp_path / "IMG[1].jpg").write_bytes((photographs / "b.jpg").read_bytes())
  assert find_images(str(tmp_path / "IMG[1].jpg")) == [tmp_path / "IMG[1].jpg"]
  with pytest.raises(ValueError, match=r"expected files, got a folder; write .*\*\.jpg"):
    find_images(str(tmp_path))


def test_alpha_maps_have_one_value_per_window(pool_runs):
  run = open_run(pool_runs / "ppool")
  maps = alpha_maps(run.experiment, run.variables, np.zeros((40, 48, 3), np.uint8))
  assert {unit: alpha.shape for unit, alpha in maps.items()} == {
    "pool1": (20, 24, 16),
    "pool2": (10, 12, 32),
  }
