"""Predictions made elsewhere: where they are found, and how they are scored; a run's own submission."""

import json
import re

import numpy as np
import pytest
from ml_collections import ConfigDict

from tests.helpers.datasets import save, save_maps, tar_of, write_voc, zip_of
from tests.helpers.evaluation import RAW, examples, pixelwise
from tests.helpers.training import tiny_config
from train.data.classes import IGNORE
from train.data.registry import DATASETS, Dataset
from train.data.submission_formats import SUBMISSION_FORMATS
from train.evaluation.entry_points import evaluate_label_maps, evaluate_workdir
from train.evaluation.evaluate import evaluate
from train.evaluation.label_maps import LabelMapFiles
from train.evaluation.options import parse
from train.loop.loop import train
from train.prepare import prepare
from train.submission.write import write_submission

cityscapes = SUBMISSION_FORMATS["cityscapes"].identify


@pytest.fixture
def tiny(monkeypatch):
  """A data set "tiny" of two labelled images, by name."""
  source = [
    {"id": "a", "label": np.array([[0, 1, 1], [2, 255, 0]], np.uint8)},
    {"id": "street/b", "label": np.array([[0, 0], [1, 255], [0, 2]], np.uint8)},
  ]
  for example in source:
    example["image"] = np.zeros((*example["label"].shape, 3), np.uint8)
  monkeypatch.setitem(DATASETS, "tiny", Dataset(lambda split: source, lambda: RAW))
  return source


def put(folder, *names):
  """PNGs of one pixel, whose value is their place in `names`."""
  for value, name in enumerate(names):
    save(folder / name, np.full((1, 1), value, np.uint8))
  return folder


def content(folder, name):
  return (folder / name).read_bytes()


@pytest.mark.parametrize(
  "name",
  [
    "ulm_000001_000019.png",
    "ulm_000001_000019_pred_labelIds.png",
    "val/ulm/ulm_000001_000019_leftImg8bit_labelIds.png",
    "ulm_000001_000019_gtFine_pred.png",
  ],
)
def test_cityscapes_files_begin_with_the_frame(name, tmp_path):
  """As its getPrediction finds them: at any depth, whatever the rest of the name."""
  others = ("ulm_000002_000019_pred.png", "ulm_000001_000020.png", "other.png", "ulm_000001_000019.txt")
  (tmp_path / others[-1]).write_text("")
  put(tmp_path, *others[:-1], name)
  found = LabelMapFiles(tmp_path, cityscapes)["ulm_000001_000019"]
  assert found.read_bytes() == content(tmp_path, name)


def test_ids_with_folders(tmp_path):
  """Below another folder, too; b alone is not street/b."""
  put(tmp_path, "mine/street/b.png", "mine/park/b.png", "mine/avenue-street/c.png", "a.png", "mine/a.png")
  files = LabelMapFiles(tmp_path)
  assert files["street/b"].read_bytes() == content(tmp_path, "mine/street/b.png")
  assert files["a"].read_bytes() == content(tmp_path, "a.png"), "what is called so exactly comes first"
  with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path / 'street/c.png'}: no such file")):
    files["street/c"]


def test_two_predictions_of_an_image_are_refused(tmp_path):
  put(tmp_path, "old/ulm_000001_000019_a.png", "ulm_000001_000019_b.png")
  message = "expected one prediction of ulm_000001_000019, got old/ulm_000001_000019_a.png, ulm_"
  with pytest.raises(ValueError, match=message):
    LabelMapFiles(tmp_path, cityscapes)["ulm_000001_000019"]


def test_archives(tmp_path):
  """Whatever their compression and the folders in them; without what macOS adds."""
  folder = put(tmp_path / "p", "b.png", "a.png", "__MACOSX/._a.png", ".hidden/a.png")
  for archive in (
    zip_of(tmp_path / "p.zip", folder, "deep/er"),
    tar_of(tmp_path / "p.tar", folder, "deep"),
    tar_of(tmp_path / "p.tar.gz", folder, "deep", "w:gz"),
  ):
    assert LabelMapFiles(archive)["a"].read_bytes() == content(folder, "a.png")


def test_places_without_predictions(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"none\.zip: no such folder or archive"):
    LabelMapFiles(tmp_path / "none.zip")
  with pytest.raises(FileNotFoundError, match="there are no PNGs in it"):
    LabelMapFiles(tmp_path)
  (tmp_path / "broken.tar.gz").write_bytes(b"no archive")
  with pytest.raises(ValueError, match=r"broken\.tar\.gz: not a readable archive"):
    LabelMapFiles(tmp_path / "broken.tar.gz")


def test_a_runs_own_submission_scores_as_the_run(tmp_path):
  """Its folder, the folder of PNGs in it and the archive, by `--ids raw`."""
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


def test_files_made_elsewhere_by_hand(tiny, tmp_path):
  """4, 9, 200 and 255 are no class of four: misses where the truth counts, nothing where it does not."""
  folder = tmp_path / "made"
  save_maps(folder, {"a": [[0, 1, 9], [255, 200, 3]], "street/b": [[0, 4], [1, 2], [1, 2]]})
  results = evaluate_label_maps(folder, "tiny", boundary=0.02, pictures=1)
  # Truth 0: found as 0, 3; 0, 4, 1. Truth 1: 1, 9; 1. Truth 2: 255; 2.
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


def test_raw_ids(tiny, tmp_path, capsys):
  """The data set's own ids; 0, which it ignores, and 5, which it does not have, are misses."""
  save_maps(tmp_path / "p", {"a": [[7, 17, 0], [23, 7, 5]], "street/b": [[7, 7], [17, 26], [7, 23]]})
  results = evaluate_label_maps(tmp_path / "p", "tiny", ids="raw")
  assert results["per_class_iou"] == {"road": 4 / 5, "pole": 2 / 3, "sky": 1.0, "car": None}
  assert "--ids" not in capsys.readouterr().out
  evaluate_label_maps(tmp_path / "p", "tiny")
  assert "90 % of the pixels are predicted as no class; does --ids raw fit?" in capsys.readouterr().out


def test_of_many_missing_files_twenty_are_named(tmp_path, monkeypatch):
  source = examples([(2, 2)] * 30)
  monkeypatch.setitem(DATASETS, "many", Dataset(lambda split: source, lambda: RAW))
  save_maps(tmp_path, {"other": np.zeros((2, 2))})
  with pytest.raises(ValueError, match=r"(?s)problems: 30\nmissing \(30\):.*image-019.*and 10 more") as error:
    evaluate_label_maps(tmp_path, "many")
  assert "image-020" not in str(error.value)


def test_files_that_cannot_be_scored_are_all_named(tiny, tmp_path):
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
  assert [path.name for path in tmp_path.iterdir()] == ["p"], "nothing is stored"


def test_a_set_of_ignored_pixels_is_refused(tiny, tmp_path):
  for example in tiny:
    example["label"][:] = IGNORE
  save_maps(tmp_path, {"a": np.zeros((2, 3)), "street/b": np.zeros((3, 2))})
  with pytest.raises(ValueError, match="every pixel of the data set is ignored"):
    evaluate_label_maps(tmp_path, "tiny")
  experiment, variables = pixelwise()
  with pytest.raises(ValueError, match="every pixel of the data set is ignored"):
    evaluate(experiment, variables, tiny, tiny_config())
