"""The files that a comparison of two runs writes."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from train.comparison.compare import compare
from train.evaluation.best_worst import image_miou
from train.evaluation.evaluate import evaluate
from train.evaluation.evaluator import SegmentationEvaluator
from train.evaluation.predictor import Predictor
from train.experiment.experiment import open_split
from train.experiment.run import open_run
from train.visualization.colorize import colorize


def rows_of(path):
  return list(csv.DictReader(path.read_text().splitlines()))


def files_of(folder):
  return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def iou_by_hand(confusion):
  hits = np.diagonal(confusion)
  return 100 * hits / (confusion.sum(0) + confusion.sum(1) - hits)


def test_gains_equal_those_of_two_evaluations(runs, out):
  opened = [open_run(workdir) for workdir in runs]
  source = open_split(opened[0].config, "val")
  counts = [evaluate(r.experiment, r.variables, source, r.config) for r in opened]
  ious = [iou_by_hand(confusion) for confusion in counts]
  rows = rows_of(out / "gains.csv")
  names = opened[0].experiment.table.names
  classes, mean = rows[:-1], rows[-1]
  assert sorted(row["class"] for row in classes) == sorted(names)
  for row in classes:
    k = names.index(row["class"])
    assert (int(row["train_id"]), int(row["pixels"])) == (k, counts[0][k].sum())
    expected = [ious[0][k], ious[1][k], ious[1][k] - ious[0][k]]
    assert [float(row[key]) for key in ("baseline", "other", "gain")] == pytest.approx(expected, abs=1e-12)
  order = [float(row["gain"]) for row in classes]
  assert order == sorted(order, reverse=True)
  assert order[0] > order[-1]
  assert float(mean["gain"]) == pytest.approx(np.mean(ious[1] - ious[0]), abs=1e-12)
  for workdir, confusion in zip(runs, counts, strict=True):
    assert json.loads((workdir / "evaluation-val-3.json").read_text())["confusion"] == confusion.tolist()


def test_panels_of_the_largest_gains_equal_predictions(runs, out):
  """Equals selecting, scoring and predicting one image at a time."""
  opened = [open_run(workdir) for workdir in runs]
  source = open_split(opened[0].config, "val")
  table = opened[0].experiment.table
  predict = [Predictor(r.experiment, r.config) for r in opened]
  expected = []
  for index in range(len(source)):
    image, label = source[index]["image"], source[index]["label"]
    found = [p(r.variables, image[None])[0] for p, r in zip(predict, opened, strict=True)]
    scores = [image_miou(SegmentationEvaluator(table).update(label, labels)) for labels in found]
    expected.append((scores[0] - scores[1], source[index]["id"], scores, (image, label, *found)))
  expected.sort(key=lambda entry: entry[:2])
  rows = rows_of(out / "examples.csv")
  assert [row["id"] for row in rows] == [entry[1] for entry in expected[:2]]
  for row, (loss, name, scores, panels) in zip(rows, expected, strict=False):
    numbers = [100 * scores[0], 100 * scores[1], -100 * loss]
    assert [float(row[key]) for key in ("baseline", "other", "gain")] == pytest.approx(numbers)
    for kind, panel in zip(("image", "truth", "baseline", "other"), panels, strict=True):
      with Image.open(out / "panels" / f"{int(row['rank']):02}-{name}-{kind}.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), panel)
        if kind != "image":
          np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), colorize(panel, table))
  assert len(list((out / "panels").iterdir())) == 2 * 4


def test_all_figure_files_are_complete(out):
  names = [name for name in files_of(out) if not name.startswith("panels")]
  figures = [f"figure{n}.{kind}" for n in (4, 5) for kind in ("pdf", "png")]
  assert names == ["examples.csv", *figures, "gains.csv"]
  for n, width in ((4, 2070), (5, 1020)):
    assert (out / f"figure{n}.pdf").read_bytes().startswith(b"%PDF")
    assert b"/Type3" not in (out / f"figure{n}.pdf").read_bytes()
    with Image.open(out / f"figure{n}.png") as picture:
      assert picture.width == width
      assert np.asarray(picture.convert("L")).std() > 20


def test_a_second_call_replaces_the_first(runs, tmp_path):
  compare(*runs, tmp_path / "out", count=2)
  first = files_of(tmp_path / "out")
  compare(*runs, tmp_path / "out", count=2)
  assert files_of(tmp_path / "out") == first
  compare(*runs, tmp_path / "out", count=1, zoom=True)
  again = files_of(tmp_path / "out")
  assert len([name for name in again if name.startswith("panels")]) == 4
  assert again["figure4.png"] != first["figure4.png"]
  compare(*runs, tmp_path / "out", count=0)
  assert set(files_of(tmp_path / "out")) == {"figure5.pdf", "figure5.png", "gains.csv"}


def test_given_ids_and_stored_evaluations_are_used(copies, tmp_path, capsys):
  """Images are in the given order; a stored evaluation is read if its inference is the same."""
  compare(*copies, tmp_path / "out", images=["scene-1-000003", "scene-1-000001"])
  assert [row["id"] for row in rows_of(tmp_path / "out/examples.csv")] == ["scene-1-000003", "scene-1-000001"]
  assert "wrote " in capsys.readouterr().out
  path = copies[1] / "evaluation-val-3.json"
  stored = json.loads(path.read_text())
  perfect = np.diag(np.sum(stored["confusion"], 1))
  path.write_text(json.dumps({**stored, "confusion": perfect.tolist()}))
  compare(*copies, tmp_path / "out", images=["scene-1-000001"])
  assert all(float(row["other"]) == 100 for row in rows_of(tmp_path / "out/gains.csv"))
  assert [row["id"] for row in rows_of(tmp_path / "out/examples.csv")] == ["scene-1-000001"]
  path.write_text(json.dumps({**stored, "confusion": perfect.tolist(), "inference": {"flip": True}}))
  compare(*copies, tmp_path / "out", count=0)
  assert not all(float(row["other"]) == 100 for row in rows_of(tmp_path / "out/gains.csv"))
  assert json.loads(path.read_text())["inference"] == {"flip": True}  # of the user, not overwritten
  path.write_text("{")
  with pytest.raises(ValueError, match=r"evaluation-val-3\.json: not an evaluation .*; delete it"):
    compare(*copies, tmp_path / "out", count=0)
