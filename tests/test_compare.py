"""Two runs as Figures 4 and 5: what is chosen, counted and drawn, by hand."""

import csv

import numpy as np
import pytest
from PIL import Image
from training_cases import tiny_config

from ppool_jax import metrics
from train.compare import compare, parse
from train.comparison.examples import Example, MostGaining
from train.comparison.gains import gains
from train.data.classes import IGNORE
from train.data.scenes import SCENES
from train.evaluate import evaluate_workdir
from train.experiment import open_split
from train.extremes import image_score
from train.loop import train
from train.predictor import Predictor
from train.run import open_run

FIGURES = ["figure4.pdf", "figure4.png", "figure5.pdf", "figure5.png"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """Workdirs of a run with max pooling and of one with P-pooling."""
  root = tmp_path_factory.mktemp("compared")
  for pool, steps in (("max", 2), ("ppool", 6)):
    train(tiny_config(f"runlocal,pool={pool}", steps=steps, data__options__val=7), root / pool)
  return root / "max", root / "ppool"


@pytest.fixture(scope="module")
def predicted(runs):
  """Every example with both runs' predictions, each by its own predictor."""
  opened = [open_run(workdir) for workdir in runs]
  predictors = [Predictor(run.experiment, run.config) for run in opened]
  found = []
  for example in open_split(opened[0].config, "val"):
    labels = [p(run.variables, example["image"][None])[0] for p, run in zip(predictors, opened, strict=True)]
    counts = [metrics.confusion(example["label"], label, 9) for label in labels]
    scores = tuple(image_score(count) for count in counts)
    found.append(Example(example["id"], example["image"], example["label"], tuple(labels), scores))
  return found


def rows(path):
  return list(csv.DictReader(path.read_text().splitlines()))


def test_gains_are_those_of_two_evaluations(runs, tmp_path, capsys):
  compare(*runs, tmp_path, count=2)
  results = [evaluate_workdir(workdir)["per_class_iou"] for workdir in runs]
  *found, mean = rows(tmp_path / "gains.csv")
  present = [row for row in found if row["gain"]]
  for row in present:
    before, after = (100 * result[row["class"]] for result in results)
    assert [float(row[key]) for key in ("baseline", "other", "gain")] == pytest.approx(
      [before, after, after - before]
    )
  assert [float(row["gain"]) for row in present] == sorted((float(r["gain"]) for r in present), reverse=True)
  assert float(mean["gain"]) == pytest.approx(np.mean([float(row["gain"]) for row in present]))
  assert len(found) == 9
  assert "P-pooling against max pooling" in capsys.readouterr().out


def test_the_images_that_gain_most(runs, predicted, tmp_path):
  compare(*runs, tmp_path, count=3)
  expected = sorted(predicted, key=lambda example: (-example.gain, example.id))[:3]
  found = rows(tmp_path / "examples.csv")
  assert [row["id"] for row in found] == [example.id for example in expected]
  assert [float(row["gain"]) for row in found] == pytest.approx([100 * e.gain for e in expected], abs=1e-9)
  assert sorted(path.name for path in tmp_path.glob("figure*")) == FIGURES
  for name in FIGURES[1::2]:
    with Image.open(tmp_path / name) as picture:
      assert np.asarray(picture.convert("L")).std() > 20


def test_panels_are_the_arrays(runs, predicted, tmp_path):
  wanted = predicted[4]
  compare(*runs, tmp_path, images=[wanted.id])
  panels = {path.stem.rsplit("-", 1)[1]: path for path in (tmp_path / "panels").iterdir()}
  assert set(panels) == {"image", "truth", "baseline", "other"}
  with Image.open(panels["image"]) as picture:
    np.testing.assert_array_equal(np.asarray(picture), wanted.image)
  for name, labels in (("truth", wanted.label), *zip(("baseline", "other"), wanted.predictions, strict=True)):
    with Image.open(panels[name]) as picture:
      assert picture.mode == "P"
      np.testing.assert_array_equal(np.asarray(picture), labels)


def test_a_second_call_leaves_nothing_of_the_first(runs, predicted, tmp_path):
  compare(*runs, tmp_path, count=3)
  gained = (tmp_path / "gains.csv").read_bytes()
  compare(*runs, tmp_path, images=[predicted[0].id], zoom=True)
  assert (tmp_path / "gains.csv").read_bytes() == gained
  assert len(list((tmp_path / "panels").iterdir())) == 4
  compare(*runs, tmp_path, count=0)
  assert sorted(path.name for path in tmp_path.glob("*.*")) == [*FIGURES[2:], "gains.csv"]


def test_the_box_holds_most_of_what_differs():
  """Against all boxes; ignored pixels do not count."""
  draw = np.random.default_rng(0)
  label = np.where(draw.random((21, 30)) < 0.2, IGNORE, 0).astype(np.uint8)
  first, second = draw.integers(0, 2, (2, 21, 30)).astype(np.uint8)
  box = Example("x", np.zeros((21, 30, 3), np.uint8), label, (first, second), (0.0, 0.0)).box()
  differ = (first != second) & (label != IGNORE)
  best = max(differ[y : y + 5, x : x + 8].sum() for y in range(17) for x in range(23))
  assert box[2:] == (5, 8)
  assert box.of(differ).sum() == best
  same = Example("x", np.zeros((21, 30, 3), np.uint8), label, (first, first), (0.0, 0.0))
  assert same.box() is None


def test_equal_gains_by_id_and_ignored_images_never():
  shown = MostGaining(2)
  for name, gain in (("c", 0.1), ("b", 0.1), ("a", 0.0), ("z", float("nan"))):
    shown.add(Example(name, None, None, (), (0.0, gain)))
  assert [example.id for example in shown.examples()] == ["b", "c"]


def test_absent_classes_and_other_labels():
  table = SCENES
  first = np.zeros((9, 9), np.int64)
  first[0, 0], first[1, 0], first[1, 1] = 5, 1, 3
  second = np.zeros((9, 9), np.int64)
  second[0, 0], second[1, 1] = 5, 4
  present, absent = gains(first, second, table)
  assert [(row.name, row.pixels) for row in present] == [(table.names[1], 4), (table.names[0], 5)]
  assert absent == list(table.names[2:])
  with pytest.raises(ValueError, match="of different labels"):
    gains(first, second + np.eye(9, dtype=np.int64), table)


def test_errors_come_before_the_work(runs, tmp_path):
  with pytest.raises(ValueError, match=r"expected two runs or two steps, got .* twice"):
    compare(runs[0], runs[0], tmp_path / "out")
  with pytest.raises(ValueError, match="no image 'nobody' among the 7; did you mean"):
    compare(*runs, tmp_path / "out", images=["nobody"])
  with pytest.raises(FileNotFoundError, match="no run there"):
    compare(runs[0], tmp_path / "none", tmp_path / "out")
  train(tiny_config(steps=1, data__options__val=5), tmp_path / "other")
  with pytest.raises(ValueError, match=r"same images, which they are not: data\.options\.val differs"):
    compare(runs[0], tmp_path / "other", tmp_path / "out")
  assert not (tmp_path / "out").exists()
  with pytest.raises(SystemExit):
    parse(["a", "b", "--out", "c", "--count", "-1"])
