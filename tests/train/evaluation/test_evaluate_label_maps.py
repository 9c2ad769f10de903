"""The evaluation of label maps that other programs predicted."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from tests.helpers.datasets import save_maps, write_voc
from tests.helpers.evaluation import CLASS_TABLE, examples, pixelwise_experiment
from tests.helpers.training import tiny_config
from train.data.classes import IGNORE
from train.data.registry import DATASETS, Dataset
from train.evaluation.entry_points import evaluate_label_maps, evaluate_workdir
from train.evaluation.evaluate import evaluate
from train.evaluation.options import parse
from train.loop.loop import train
from train.prepare import prepare
from train.submission.write import write_submission


@pytest.fixture
def tiny(monkeypatch):
  """A data set "tiny" of two labeled images, by name."""
  source = [
    {"id": "a", "label": np.array([[0, 1, 1], [2, 255, 0]], np.uint8)},
    {"id": "street/b", "label": np.array([[0, 0], [1, 255], [0, 2]], np.uint8)},
  ]
  for example in source:
    example["image"] = np.zeros((*example["label"].shape, 3), np.uint8)
  monkeypatch.setitem(DATASETS, "tiny", Dataset(lambda split: source, lambda: CLASS_TABLE))
  return source


def test_a_submission_scores_as_its_run(tmp_path):
  """With `--ids raw`: the submission's folder, its folder of PNGs and the archive."""
  write_voc(tmp_path / "VOC2012", {"train": [1, 2, 3, 4], "val": [5, 6]})
  prepare("voc", str(tmp_path), str(tmp_path / "data"), partial=True)
  config = tiny_config(data__name="voc", steps=1, batch_size=8)
  config.data.options = ConfigDict({"dir": str(tmp_path / "data")})
  train(config, tmp_path / "run")
  archive = write_submission(tmp_path / "run", "voc", tmp_path / "sent", split="val")
  expected = evaluate_workdir(tmp_path / "run")
  options = {"data": "voc", "dir": str(tmp_path / "data"), "ids": "raw"}
  for place in (tmp_path / "sent", next((tmp_path / "sent").rglob("5.png")).parent):
    found = evaluate_label_maps(place, **options)
    assert {name: found[name] for name in ("miou", "per_class_iou")} == {
      name: expected[name] for name in ("miou", "per_class_iou")
    }
  evaluate_label_maps(
    **parse("", f"--predictions {archive} --data voc --dir {tmp_path}/data --ids raw".split())
  )
  stored = json.loads((tmp_path / "sent" / "results.tar.gz-evaluation-val.json").read_text())
  assert stored["per_class_iou"] == expected["per_class_iou"]
  assert (stored["data"], stored["split"], stored["no_class"]) == ("voc", "val", 0)


def test_label_maps_score_as_counted_by_hand(tiny, tmp_path):
  """4, 9, 200 and 255 are none of the four classes: misses, except where the truth is ignored."""
  folder = tmp_path / "made"
  save_maps(folder, {"a": [[0, 1, 9], [255, 200, 3]], "street/b": [[0, 4], [1, 2], [1, 2]]})
  results = evaluate_label_maps(folder, "tiny", boundary=0.02, pictures=1)
  # Truth 0 is predicted as 0, 3; 0, 4, 1. Truth 1 as 1, 9; 1. Truth 2 as 255; 2.
  counts = [[2, 1, 0, 1, 1], [0, 2, 0, 0, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]
  stored = json.loads((tmp_path / "made-evaluation-val.json").read_text())
  assert stored["confusion"] == counts
  assert results["per_class_iou"] == {"road": 2 / 5, "pole": 2 / 4, "sky": 1 / 2, "car": 0}
  assert (results["pixel_accuracy"], results["no_class"]) == (5 / 10, 3 / 10)
  assert results["miou"] == pytest.approx((0.4 + 0.5 + 0.5 + 0) / 4)
  assert 0 < results["boundary_iou"] < 1
  assert {path.name for path in tmp_path.iterdir()} == {
    "made",
    "made-evaluation-val",
    *(f"made-evaluation-val.{ending}" for ending in ("json", "csv", "png")),
  }


def test_raw_ids_are_mapped_to_train_ids(tiny, tmp_path, capsys):
  """Raw id 0, which is ignored, and 5, which does not exist, are misses."""
  save_maps(tmp_path / "p", {"a": [[7, 17, 0], [23, 7, 5]], "street/b": [[7, 7], [17, 26], [7, 23]]})
  results = evaluate_label_maps(tmp_path / "p", "tiny", ids="raw")
  assert results["per_class_iou"] == {"road": 4 / 5, "pole": 2 / 3, "sky": 1.0, "car": None}
  assert "--ids" not in capsys.readouterr().out
  evaluate_label_maps(tmp_path / "p", "tiny")
  assert "90 % of the pixels are predicted as no class; does --ids raw fit?" in capsys.readouterr().out


def test_twenty_of_many_missing_files_are_named(tmp_path, monkeypatch):
  source = examples([(2, 2)] * 30)
  monkeypatch.setitem(DATASETS, "many", Dataset(lambda split: source, lambda: CLASS_TABLE))
  save_maps(tmp_path, {"other": np.zeros((2, 2))})
  with pytest.raises(ValueError, match=r"(?s)problems: 30\nmissing \(30\):.*image-019.*and 10 more") as error:
    evaluate_label_maps(tmp_path, "many")
  assert "image-020" not in str(error.value)


def test_all_unusable_files_are_named(tiny, tmp_path):
  folder = tmp_path / "p"
  save_maps(folder, {"street/b": np.zeros((2, 2))})
  with pytest.raises(ValueError, match="predictions of 2 images cannot be scored; problems: 2") as error:
    evaluate_label_maps(folder, "tiny")
  assert f"{folder / 'a.png'}: no such file" in str(error.value)
  assert f"{folder / 'street/b.png'}: expected 3 x 2 pixels as the image has, got 2 x 2" in str(error.value)
  save_maps(folder, {"a": np.zeros((2, 3, 3)), "street/b": np.zeros((3, 2))})
  with pytest.raises(
    ValueError, match=r"problems: 1\nwrong .*\n.*a\.png: expected a label map of one 8-bit channel"
  ):
    evaluate_label_maps(folder, "tiny")
  with pytest.raises(FileNotFoundError, match="none: no such folder"):
    evaluate_label_maps(tmp_path / "none", "tiny")
  assert [path.name for path in tmp_path.iterdir()] == ["p"], "nothing is written"


def test_a_data_set_of_ignored_pixels_is_refused(tiny, tmp_path):
  for example in tiny:
    example["label"][:] = IGNORE
  save_maps(tmp_path, {"a": np.zeros((2, 3)), "street/b": np.zeros((3, 2))})
  with pytest.raises(ValueError, match="every pixel of the data set is ignored"):
    evaluate_label_maps(tmp_path, "tiny")
  experiment, variables = pixelwise_experiment()
  with pytest.raises(ValueError, match="every pixel of the data set is ignored"):
    evaluate(experiment, variables, tiny, tiny_config())
