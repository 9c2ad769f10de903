"""Prediction on photographs, the alpha maps, and the report."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.helpers.analysis import alpha_maps
from tests.helpers.training import tiny_config
from train.data.datasets.camvid_classes import CAMVID
from train.evaluation.batching import batches_by_size
from train.evaluation.evaluate import evaluate
from train.evaluation.evaluator import summarize_confusion
from train.evaluation.predictor import Predictor
from train.experiment.experiment import open_split
from train.experiment.run import open_run
from train.loop.loop import train
from train.reporting.report import write_report
from train.serving.photographs import predict
from train.visualization.colorize import overlay, to_palette_image


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("runs")
  for pool in ("max", "ppool"):
    train(tiny_config(f"runlocal,pool={pool}", steps=3), folder / pool)
  return folder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("photographs")
  draw = np.random.default_rng(0)
  for name, shape in (("a.png", (40, 50, 3)), ("b.jpg", (33, 64, 3))):
    Image.fromarray(draw.integers(0, 256, shape, np.uint8)).save(folder / name)
  return folder


def opened(path):
  """An image that holds no file open."""
  image = Image.open(path)
  image.load()
  return image


def test_predictions_are_palette_images_of_the_photographs_size(runs, photographs, tmp_path):
  predict(runs / "ppool", str(photographs / "*"), tmp_path, None, alpha=True, channels=[0, 3])
  run = open_run(runs / "ppool")
  for name, size in (("a", (50, 40)), ("b", (64, 33))):
    image = opened(tmp_path / f"{name}.png")
    assert (image.mode, image.size) == ("P", size)
    source = next(photographs.glob(f"{name}.*"))
    expected = Predictor(run.experiment, run.config)(run.variables, np.asarray(opened(source))[None])[0]
    np.testing.assert_array_equal(np.asarray(image), expected)
    assert image.getpalette()[: 3 * 2] == run.experiment.table.palette()[:2].ravel().tolist()
    assert opened(tmp_path / f"{name}-overlay.png").size == size
    for kind in ("pool1", "pool2", "means"):
      assert np.asarray(opened(tmp_path / f"{name}-alpha-{kind}.png")).std() > 5


def test_errors_of_predict(runs, photographs, tmp_path):
  (tmp_path / "a.png").write_bytes((photographs / "a.png").read_bytes()[:60])
  with pytest.raises(ValueError, match=r"a\.png: not a readable image"):
    predict(runs / "max", str(tmp_path / "a.png"), tmp_path / "out", None, alpha=False, channels=None)
  with pytest.raises(FileNotFoundError, match=r"none/\*: no such files"):
    predict(runs / "max", "none/*", tmp_path / "out", None, alpha=False, channels=None)
  with pytest.raises(ValueError, match="this network has no P-pooling"):
    predict(runs / "max", str(photographs / "a.png"), tmp_path / "out", None, alpha=True, channels=None)
  with pytest.raises(ValueError, match=r"expected 0..15 for pool1, got 16"):
    predict(runs / "ppool", str(photographs / "a.png"), tmp_path / "out", None, alpha=True, channels=[16])
  with pytest.raises(ValueError, match=r"expected a checkpoint of step 2, got \[3\]|expected a checkpoint"):
    predict(runs / "max", str(photographs / "a.png"), tmp_path / "out", 77, alpha=False, channels=None)


def test_alpha_maps_of_an_image(runs):
  run = open_run(runs / "ppool")
  maps = alpha_maps(run.experiment, run.variables, np.zeros((40, 48, 3), np.uint8))
  assert {unit: alpha.shape for unit, alpha in maps.items()} == {
    "pool1": (20, 24, 16),
    "pool2": (10, 12, 32),
  }


def test_every_image_once_whatever_its_size():
  sizes = [(4, 4), (4, 6), (4, 4), (4, 4), (4, 6), (2, 2)]
  source = [{"id": i, "label": np.zeros(size, np.uint8)} for i, size in enumerate(sizes)]
  batches = list(batches_by_size(source, 2))
  assert sorted(e["id"] for batch in batches for e in batch) == [0, 1, 2, 3, 4, 5]
  assert all(len({e["label"].shape for e in batch}) == 1 and len(batch) <= 2 for batch in batches)


def test_evaluation_counts_every_pixel_once_on_eight_devices(runs):
  run = open_run(runs / "max")
  run.config.batch_size = 2  # trained on other devices
  source = open_split(run.config, "val")
  confusion = evaluate(run.experiment, run.variables, source, run.config)
  valid = sum(int((source[i]["label"] != 255).sum()) for i in range(len(source)))
  assert confusion.sum() == valid
  stored = json.loads((runs / "max" / "summary.json").read_text())
  assert summarize_confusion(confusion, run.experiment.table)["miou"] == stored["miou"]


def test_a_set_of_ignored_pixels_is_refused(runs):
  run = open_run(runs / "max")
  void = {"image": np.zeros((32, 48, 3), np.uint8), "label": np.full((32, 48), 255, np.uint8)}
  with pytest.raises(ValueError, match="every pixel of the data set is ignored"):
    evaluate(run.experiment, run.variables, [void], run.config)


def test_absent_classes_are_null_and_do_not_count():
  confusion = np.zeros((11, 11), np.int64)
  confusion[0, 0], confusion[3, 3], confusion[3, 0] = 6, 2, 2
  results = summarize_confusion(confusion, CAMVID)
  assert results["per_class_iou"]["Pole"] is None
  assert results["per_class_iou"]["Road"] == 0.5
  np.testing.assert_allclose(results["miou"], (6 / 8 + 2 / 4) / 2)
  assert results["thin_iou"] is None


def test_pictures():
  labels = np.array([[0, 2], [255, 10]], np.uint8)
  image = to_palette_image(labels, CAMVID)
  np.testing.assert_array_equal(np.asarray(image), labels)
  np.testing.assert_array_equal(np.asarray(image.convert("RGB"))[0, 1], [192, 192, 128])
  white = np.full((2, 2, 3), 255, np.uint8)
  np.testing.assert_array_equal(overlay(white, labels, CAMVID, 1.0), np.asarray(image.convert("RGB")))
  np.testing.assert_array_equal(overlay(white, labels, CAMVID, 0.0), white)


def test_the_report_stands_alone(runs, tmp_path, capsys):
  folder = tmp_path / "pictures"
  write_report([runs / "max", runs / "ppool"], tmp_path / "report.html", examples=2, pictures=folder)
  text = (tmp_path / "report.html").read_text()
  assert text.count("data:image/png;base64,") == 1 + 1 + 1 + 2
  assert np.asarray(opened(folder / "predictions.png")).shape == (2 * 36, 4 * 52 - 4, 3)
  assert np.asarray(opened(folder / "curves.png")).std() > 5
  assert not re.search(r'(src|href)="(?!data:)', text)
  summary = json.loads((runs / "ppool" / "summary.json").read_text())
  assert f"{100 * summary['miou']:.1f}" in text
  assert "thin-class IoU" in capsys.readouterr().out
  with pytest.raises(FileNotFoundError, match="not a finished run"):
    write_report([tmp_path], tmp_path / "x.html")


def test_runs_of_a_sweep_are_told_apart_by_their_folders(runs, tmp_path, capsys):
  """Workdirs that are all called seed-0; the same twice is refused."""
  swept = []
  for pool in ("max", "ppool"):
    swept.append(tmp_path / "runs" / pool / "seed-0")
    shutil.copytree(runs / pool, swept[-1])
  write_report(swept, tmp_path / "report.html", examples=1)
  text = (tmp_path / "report.html").read_text()
  for name, pool in (("max/seed-0", "max"), ("ppool/seed-0", "ppool")):
    miou = json.loads((runs / pool / "summary.json").read_text())["miou"]
    assert re.search(rf"{name}</t[dh]>\s*<t[dh][^>]*>{100 * miou:.1f}<", text)
  assert "image | truth | max/seed-0 | ppool/seed-0" in text
  assert "ppool/seed-0" in capsys.readouterr().out
  with pytest.raises(ValueError, match="expected each workdir once, got "):
    write_report([swept[0], swept[0]], tmp_path / "twice.html")
