"""What an evaluation counts, prints and stores; predictions made elsewhere."""

import csv
import json
import pathlib
import re

import numpy as np
import pytest
from evaluation_cases import RAW, examples, pixelwise
from PIL import Image
from training_cases import run, tiny_config

from ppool_jax import metrics
from train.data.classes import IGNORE
from train.data.datasets import DATASETS, Dataset
from train.evaluate import evaluate, evaluate_files, evaluate_workdir, print_table, summarise
from train.evaluate_options import parse
from train.extremes import Extremes
from train.loop import train
from train.scores import Scores


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  """A finished run."""
  folder = tmp_path_factory.mktemp("evaluated") / "run"
  train(tiny_config(steps=1), folder)
  return folder


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


def write(folder, predictions):
  """Label maps as PNGs."""
  for name, values in predictions.items():
    path = pathlib.Path(folder, f"{name}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values, np.uint8)).save(path)


def test_what_is_counted(tmp_path):
  """All numbers of a set of two images, against the metrics of the images together."""
  source = examples([(20, 30)] * 2)
  draw = np.random.default_rng(1)
  found = [draw.integers(0, 3, (20, 30)) for _ in source]
  scores = Scores(RAW, 0.05, (1, 3))
  each = [scores.add(example["label"], labels) for example, labels in zip(source, found, strict=True)]
  truth = np.stack([example["label"] for example in source])
  counts = metrics.confusion(truth, np.stack(found), 4)
  np.testing.assert_array_equal(sum(each), counts)
  results = scores.results()
  assert {name: results[name] for name in summarise(counts, RAW)} == summarise(counts, RAW)
  bands = metrics.boundary_iou(truth, np.stack(found), 4, IGNORE, 0.05)
  assert list(results["per_class_boundary_iou"].values()) == bands.tolist()
  assert results["boundary_iou"] == bands.mean()
  trimaps = {w: metrics.trimap_confusion(truth, np.stack(found), 4, IGNORE, w) for w in (1, 3)}
  assert results["trimap_miou"] == {str(w): metrics.mean_iou(c) for w, c in trimaps.items()}


def test_a_summary_by_hand():
  """Class sky is in neither truth nor prediction, class car only in the prediction."""
  results = summarise(np.array([[6, 0, 0, 2], [2, 2, 0, 0], [0] * 4, [0] * 4]), RAW)
  assert results["per_class_iou"] == {"road": 0.6, "pole": 0.5, "sky": None, "car": 0.0}
  assert results["per_class_accuracy"] == {"road": 0.75, "pole": 0.5, "sky": None, "car": None}
  assert results["per_class_pixels"] == {"road": 8, "pole": 4, "sky": 0, "car": 0}
  numbers = {"miou": 1.1 / 3, "miou_official": 1.1 / 4, "pixel_accuracy": 8 / 12, "mean_accuracy": 1.25 / 2}
  numbers |= {"frequency_weighted_iou": (8 * 0.6 + 4 * 0.5) / 12, "thin_iou": 0.5}
  assert {name: results[name] for name in numbers} == pytest.approx(numbers)


def test_absent_classes_are_a_dash(capsys):
  counts = np.array([[6, 0, 0, 2], [2, 2, 0, 0], [0] * 4, [0] * 4])
  print_table({"split": "val", **summarise(counts, RAW)})
  rows = {words[1]: words for words in map(str.split, capsys.readouterr().out.splitlines()) if len(words) > 7}
  assert rows["road"][3::2] == ["60.00", "75.00", "8"]
  assert rows["sky"][3::2] == ["–", "–", "0"]  # noqa: RUF001
  assert rows["car"][3::2] == ["0.00", "–", "0"]  # noqa: RUF001


def test_what_an_evaluation_leaves(workdir, capsys):
  summary = json.loads((workdir / "summary.json").read_text())
  results = evaluate_workdir(workdir, boundary=0.02, pictures=2)
  stored = json.loads((workdir / "evaluation-val-1.json").read_text())
  assert stored == {**json.loads(json.dumps(results)), "confusion": stored["confusion"]}
  assert {name: stored[name] for name in ("step", "split", "miou")} == {
    "step": 1,
    "split": "val",
    "miou": summary["miou"],
  }
  assert stored["inference"] == {
    "buckets": 0, "scales": [1.0], "flip": False, "window": [0, 0], "stride": [0, 0],
  }  # fmt: skip
  assert list(stored["trimap_miou"]) == ["1", "2", "4", "8", "16", "32"]
  rows = list(csv.DictReader((workdir / "evaluation-val-1.csv").read_text().splitlines()))
  assert [row["class"] for row in rows] == list(stored["per_class_iou"])
  for row in rows:
    for key in ("iou", "accuracy", "boundary_iou", "pixels"):
      value = stored[f"per_class_{key}"][row["class"]]
      assert row[key] == ("" if value is None else str(value))
  assert sum(map(int, (row["pixels"] for row in rows))) == np.sum(stored["confusion"])
  with Image.open(workdir / "evaluation-val-1.png") as picture:
    assert np.asarray(picture.convert("L")).std() > 20
  names = sorted(path.name for path in (workdir / "evaluation-val-1").iterdir())
  assert [re.sub(r"scene.*", "", name) for name in names] == ["best-1-", "best-2-", "worst-1-", "worst-2-"]
  assert "boundary IoU %" in capsys.readouterr().out


def test_views_from_the_command_line(workdir):
  """What is asked for is done, and is in the file."""
  plain = evaluate_workdir(workdir)
  flags = ["--scales", "0.5", "1", "--flip", "--window", "32x32", "--stride", "16x16", "--buckets", "64"]
  status, output = run(["train.evaluate", f"--workdir={workdir}", "--batch", "2", *flags])
  assert status == 0, output
  assert "sizes of images, each with a program of its own: 1" in output
  stored = json.loads((workdir / "evaluation-val-1.json").read_text())
  expected = {"buckets": 64, "scales": [0.5, 1.0], "flip": True, "window": [32, 32], "stride": [16, 16]}
  assert stored["inference"] == expected
  assert stored["per_class_pixels"] == plain["per_class_pixels"]
  assert stored["per_class_iou"] != plain["per_class_iou"]


@pytest.mark.parametrize(
  ("command", "message"),
  [
    ("--workdir x --ids raw", "--ids does not go with --workdir"),
    ("--predictions x --data voc --scales 1", "--scales does not go with --predictions"),
    ("--predictions x", "--predictions needs --data"),
    ("--workdir x --predictions y", "not allowed with argument"),
    ("--workdir x --window 3", "invalid _size value: '3'"),
    ("", "one of the arguments --workdir --predictions is required"),
  ],
)
def test_options_that_do_not_go_together(command, message, capsys):
  with pytest.raises(SystemExit):
    parse("", command.split())
  assert message in capsys.readouterr().err


def test_the_best_and_the_worst(tmp_path):
  """As sorting all would find them; an image without a pixel that counts is neither."""
  scores = np.random.default_rng(0).permutation(20) / 20
  extremes = Extremes(3, RAW)
  extremes.add(examples([(8, 10)])[0], np.zeros((8, 10), np.uint8), float("nan"))
  for index, (example, score) in enumerate(zip(examples([(8, 10)] * 20), scores, strict=True)):
    example["id"] = f"street/{index}"
    extremes.add(example, np.full((8, 10), 2, np.uint8), float(score))
  extremes.write(tmp_path)
  order = np.argsort(scores)
  expected = [f"worst-{r}-street-{i}-{100 * scores[i]:.1f}.png" for r, i in enumerate(order[:3], 1)]
  expected += [f"best-{r}-street-{i}-{100 * scores[i]:.1f}.png" for r, i in enumerate(order[:-4:-1], 1)]
  assert sorted(path.name for path in tmp_path.iterdir()) == sorted(expected)
  with Image.open(tmp_path / expected[0]) as picture:
    panels = np.asarray(picture)
  assert panels.shape == (8, 3 * 10 + 2 * 4, 3)
  np.testing.assert_array_equal(panels[:, :10], examples([(8, 10)] * 20)[order[0]]["image"])
  assert (panels[:, 28:] == RAW.palette()[2]).all()


def test_files_made_elsewhere_by_hand(tiny, tmp_path):
  """4, 9, 200 and 255 are no class of four: misses where the truth counts, nothing where it does not."""
  folder = tmp_path / "made"
  write(folder, {"a": [[0, 1, 9], [255, 200, 3]], "street/b": [[0, 4], [1, 2], [1, 2]]})
  results = evaluate_files(folder, "tiny", boundary=0.02, pictures=1)
  # Truth 0: found as 0, 3; 0, 4, 1. Truth 1: 1, 9; 1. Truth 2: 255; 2.
  counts = [[2, 1, 0, 1, 1], [0, 2, 0, 0, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]
  stored = json.loads((tmp_path / "made-evaluation-val.json").read_text())
  assert stored["confusion"] == counts
  assert results["per_class_iou"] == {"road": 2 / 5, "pole": 2 / 4, "sky": 1 / 2, "car": 0}
  assert results["pixel_accuracy"] == 5 / 10
  assert results["miou"] == pytest.approx((0.4 + 0.5 + 0.5 + 0) / 4)
  assert 0 < results["boundary_iou"] < 1
  assert {path.name for path in tmp_path.iterdir()} == {
    "made",
    "made-evaluation-val",
    *(f"made-evaluation-val.{ending}" for ending in ("json", "csv", "png")),
  }


def test_raw_ids(tiny, tmp_path):
  """The data set's own ids; 0, which it ignores, and 5, which it does not have, are misses."""
  write(tmp_path / "p", {"a": [[7, 17, 0], [23, 7, 5]], "street/b": [[7, 7], [17, 26], [7, 23]]})
  results = evaluate_files(tmp_path / "p", "tiny", ids="raw")
  assert results["per_class_iou"] == {"road": 4 / 5, "pole": 2 / 3, "sky": 1.0, "car": None}


def test_files_that_cannot_be_scored_are_all_named(tiny, tmp_path):
  folder = tmp_path / "p"
  write(folder, {"street/b": np.zeros((2, 2))})
  with pytest.raises(ValueError, match="2 of 2 predictions cannot be scored") as error:
    evaluate_files(folder, "tiny")
  assert f"{folder / 'a.png'}: no such file" in str(error.value)
  assert f"{folder / 'street/b.png'}: expected 3 x 2 pixels as the image has, got 2 x 2" in str(error.value)
  write(folder, {"a": np.zeros((2, 3, 3)), "street/b": np.zeros((3, 2))})
  with pytest.raises(ValueError, match=r"1 of 2 .*\n.*a\.png: expected a label map of one 8-bit channel"):
    evaluate_files(folder, "tiny")
  with pytest.raises(FileNotFoundError, match="none: no such folder"):
    evaluate_files(tmp_path / "none", "tiny")
  assert [path.name for path in tmp_path.iterdir()] == ["p"], "nothing is stored"


def test_a_set_of_ignored_pixels_is_refused(tiny, tmp_path):
  for example in tiny:
    example["label"][:] = IGNORE
  write(tmp_path, {"a": np.zeros((2, 3)), "street/b": np.zeros((3, 2))})
  with pytest.raises(ValueError, match="every pixel of the set is ignored"):
    evaluate_files(tmp_path, "tiny")
  experiment, variables = pixelwise()
  with pytest.raises(ValueError, match="every pixel of the set is ignored"):
    evaluate(experiment, variables, tiny, tiny_config())
