"""The files, tables and pictures that python -m train.evaluate writes, and its options."""

import csv
import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image

from tests.helpers.evaluation import CLASS_TABLE, examples
from tests.helpers.training import run, tiny_config
from train.data.registry import get_dataset
from train.evaluation.best_worst import BestWorstImages
from train.evaluation.confusion_figure import draw_confusion
from train.evaluation.entry_points import evaluate_workdir
from train.evaluation.evaluator import summarize_confusion
from train.evaluation.options import parse
from train.evaluation.result_table import print_results
from train.loop.loop import train


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  """A finished run."""
  folder = tmp_path_factory.mktemp("evaluated") / "run"
  train(tiny_config(steps=1), folder)
  return folder


def test_undefined_metrics_print_as_a_dash(capsys):
  counts = np.array([[6, 0, 0, 2], [2, 2, 0, 0], [0] * 4, [0] * 4])
  print_results({"split": "val", **summarize_confusion(counts, CLASS_TABLE)})
  rows = {words[1]: words for words in map(str.split, capsys.readouterr().out.splitlines()) if len(words) > 7}
  assert rows["road"][3::2] == ["60.00", "75.00", "8"]
  assert rows["sky"][3::2] == ["–", "–", "0"]  # noqa: RUF001
  assert rows["car"][3::2] == ["0.00", "–", "0"]  # noqa: RUF001


def test_confusion_figure_of_150_classes_is_legible():
  """ADE20K's class names are lists of synonyms: the first is drawn, and labels do not overlap."""
  table = get_dataset("ade20k").table
  figure = draw_confusion(np.eye(150, 151, dtype=np.int64), table)
  labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
  assert (labels[:2], labels[-1], len(labels)) == (["wall", "building"], "no class", 151)
  width, height = figure.get_size_inches()
  assert max(width, height) < 26
  figure.draw_without_rendering()
  boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
  assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(boxes))


def test_evaluate_workdir_writes_json_csv_and_pictures(workdir, capsys):
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
    "pad_multiple": 0, "scales": [1.0], "flip": False, "window": [0, 0], "stride": [0, 0],
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


def test_command_line_changes_the_inference(workdir):
  """The options change the predictions and are recorded in the file."""
  plain = evaluate_workdir(workdir)
  flags = ["--scales", "0.5", "1", "--flip", "--window", "32x32", "--stride", "16x16", "--pad-multiple", "64"]
  status, output = run(["train.evaluate", f"--workdir={workdir}", "--batch-size", "2", *flags])
  assert status == 0, output
  assert "1 image sizes, one program each" in output
  stored = json.loads((workdir / "evaluation-val-1.json").read_text())
  expected = {"pad_multiple": 64, "scales": [0.5, 1.0], "flip": True, "window": [32, 32], "stride": [16, 16]}
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
    ("--workdir x --window 3", "--window: expected HEIGHTxWIDTH such as 512x1024, got '3'"),
    ("", "one of the arguments --workdir --predictions is required"),
  ],
)
def test_conflicting_options_are_refused(command, message, capsys):
  with pytest.raises(SystemExit):
    parse("", command.split())
  assert message in capsys.readouterr().err


def test_best_and_worst_images_are_ranked_as_by_sorting(tmp_path):
  """Equals sorting all images; an image with only ignored pixels is never among them."""
  scores = np.random.default_rng(0).permutation(20) / 20
  images = BestWorstImages(3, CLASS_TABLE)
  images.add(examples([(8, 10)])[0], np.zeros((8, 10), np.uint8), float("nan"))
  for index, (example, score) in enumerate(zip(examples([(8, 10)] * 20), scores, strict=True)):
    example["id"] = f"street/{index}"
    images.add(example, np.full((8, 10), 2, np.uint8), float(score))
  images.write(tmp_path)
  order = np.argsort(scores)
  expected = [f"worst-{r}-street-{i}-{100 * scores[i]:.1f}.png" for r, i in enumerate(order[:3], 1)]
  expected += [f"best-{r}-street-{i}-{100 * scores[i]:.1f}.png" for r, i in enumerate(order[:-4:-1], 1)]
  assert sorted(path.name for path in tmp_path.iterdir()) == sorted(expected)
  with Image.open(tmp_path / expected[0]) as picture:
    panels = np.asarray(picture)
  assert panels.shape == (8, 3 * 10 + 2 * 4, 3)
  np.testing.assert_array_equal(panels[:, :10], examples([(8, 10)] * 20)[order[0]]["image"])
  assert (panels[:, 28:] == CLASS_TABLE.palette()[2]).all()
