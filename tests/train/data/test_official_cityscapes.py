"""The metrics equal those of Cityscapes' own program, cityscapesscripts."""

import copy
import json
import math

import numpy as np
import pytest

from tests.helpers import peers
from tests.helpers.datasets import pixels, save, save_maps
from train.data.datasets.cityscapes_classes import CITYSCAPES
from train.evaluation.entry_points import evaluate_label_maps
from train.prepare import prepare

SIZES = [(37, 53), (64, 48), (30, 91), (17, 16), (41, 33)]
EVALUATED = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
IGNORED = sorted({*range(34)}.difference(EVALUATED))
NEVER, ONLY_IN_VOID, ONLY_PREDICTED = 28, 31, 32  # bus, train, motorcycle
ALL_IGNORED = 3  # the image


def truths():
  """Label maps of blocks and noise with all other raw ids; one has only ignored ids."""
  rng = np.random.default_rng(0)
  values = np.setdiff1d(np.arange(34), [NEVER, ONLY_IN_VOID, ONLY_PREDICTED])
  made = []
  for index, (height, width) in enumerate(SIZES):
    choice = IGNORED if index == ALL_IGNORED else values
    blocks = rng.choice(choice, (height, width)).repeat(5, 0).repeat(7, 1)[:height, :width]
    made.append(np.where(rng.random(blocks.shape) < 0.9, blocks, rng.choice(choice, blocks.shape)))
  return [label.astype(np.uint8) for label in made]


def perturb(label, seed):
  """A shifted label map with a third of random ids except bus; train is predicted only in void."""
  rng = np.random.default_rng(seed)
  found = np.where(rng.random(label.shape) < 0.7, np.roll(label, 2, axis=1), rng.integers(0, 34, label.shape))
  found[(found == NEVER) | (found == ONLY_IN_VOID)] = ONLY_PREDICTED
  found[np.isin(label, IGNORED) & (rng.random(label.shape) < 0.3)] = ONLY_IN_VOID
  return found.astype(np.uint8)


def name_of(index):
  return f"ulm_{index:06d}_000019"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  """Files in the official layout, and the data set prepared from them."""
  root = tmp_path_factory.mktemp("cityscapes")
  for index, label in enumerate(truths()):
    save(root / f"leftImg8bit/val/ulm/{name_of(index)}_leftImg8bit.png", pixels(index, label.shape))
    save(root / f"gtFine/val/ulm/{name_of(index)}_gtFine_labelIds.png", label)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr("train.data.datasets.cityscapes.Cityscapes.IMAGE_SIZE", None)
    prepare("cityscapes", str(root), str(root / "data"), partial=True)
  return root


def write(folder, predictions, ending="_pred_labelIds"):
  return save_maps(folder, {f"{name_of(index)}{ending}": x for index, x in enumerate(predictions)})


def theirs(folder, data, labels="gtFine/val/ulm"):
  """The publisher's results without instance metrics, which call np.in1d, removed from NumPy."""
  module = peers.cityscapes_evaluation()
  args = copy.copy(module.args)
  args.evalInstLevelScore, args.JSONOutput, args.quiet = False, False, True
  args.predictionPath, args.predictionWalk = str(folder), None
  truth = sorted(str(path) for path in (data / labels).glob("*_labelIds.png"))
  return module.evaluateImgLists([module.getPrediction(args, path) for path in truth], truth, args)


def ours(folder, data):
  """The results of this project, and the confusion matrix."""
  results = evaluate_label_maps(folder, "cityscapes", str(data / "data"), ids="raw")
  stored = json.loads(folder.with_name(f"{folder.name}-evaluation-val.json").read_text())
  return results, np.array(stored["confusion"])


def assert_equal(results, official):
  scores = {name: None if math.isnan(s := official["classScores"][name]) else s for name in CITYSCAPES.names}
  assert results["per_class_iou"] == scores
  assert results["miou"] == pytest.approx(official["averageScoreClasses"], rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_cityscapesscripts(seed, data, tmp_path):
  folder = write(tmp_path / "p", [perturb(label, seed + 10 * i) for i, label in enumerate(truths())])
  (results, counts), official = ours(folder, data), theirs(folder, data)
  assert_equal(results, official)
  # Rows of ignored ids are none of ours, columns of them are "no class".
  rows = np.array(official["confMatrix"])[EVALUATED].astype(int)
  np.testing.assert_array_equal(counts[:, :19], rows[:, EVALUATED])
  np.testing.assert_array_equal(counts[:, 19], rows[:, IGNORED].sum(1))
  assert results["no_class"] == rows[:, IGNORED].sum() / rows.sum() > 0.05
  iou = results["per_class_iou"]
  assert (iou["bus"], iou["train"], iou["motorcycle"]) == (None, None, 0)
  assert results["miou_official"] == pytest.approx(results["miou"] * 17 / 19), "theirs leaves absent ones out"


def test_perfect_prediction_has_miou_1(data, tmp_path):
  folder = write(tmp_path / "p", truths(), "_gtFine_labelIds")
  (results, _), official = ours(folder, data), theirs(folder, data)
  assert_equal(results, official)
  assert (results["miou"], official["averageScoreClasses"], results["no_class"]) == (1, 1, 0)


@pytest.mark.parametrize("value", [34, 200, 255])
def test_unknown_value_counts_as_wrong_where_theirs_fails(value, data, tmp_path):
  """Their program raises IndexError; here the value counts as "unlabeled" does there."""
  predictions = [perturb(label, i) for i, label in enumerate(truths())]
  strange = [np.where(np.arange(x.size).reshape(x.shape) % 5, x, value).astype(np.uint8) for x in predictions]
  unlabeled = [np.where(x == value, 0, x).astype(np.uint8) for x in strange]
  results, _ = ours(write(tmp_path / "strange", strange), data)
  assert_equal(results, theirs(write(tmp_path / "unlabeled", unlabeled), data))
  with pytest.raises(IndexError):
    theirs(tmp_path / "strange", data)


def test_license_plate_label_is_rejected_by_both(data, tmp_path):
  """-1 is 255 in eight bits; neither program accepts it in a label map."""
  for path in data.rglob("*_labelIds.png"):
    save(tmp_path / path.relative_to(data), np.full((4, 6), 255, np.uint8))
  for path in data.rglob("*_leftImg8bit.png"):
    save(tmp_path / path.relative_to(data), pixels(0, (4, 6)))
  with pytest.raises(ValueError, match=r"label 255 is not in the table \(it has 0\.\.33\)"):
    prepare("cityscapes", str(tmp_path), str(tmp_path / "data"), partial=True)
  with pytest.raises(SystemExit):
    theirs(write(tmp_path / "p", [np.zeros((4, 6), np.uint8)] * len(SIZES)), tmp_path)


def test_missing_and_duplicate_predictions_are_rejected(data, tmp_path, capsys):
  """Their program stops at the first; here all are named."""
  folder = write(tmp_path / "p", truths())
  write(folder / "again", truths()[:1], "")
  (folder / f"{name_of(2)}_pred_labelIds.png").unlink()
  with pytest.raises(SystemExit):
    theirs(folder, data)
  assert "Found multiple predictions for ground truth" in capsys.readouterr().out
  with pytest.raises(ValueError, match="predictions of 5 images cannot be scored; problems: 2") as error:
    ours(folder, data)
  assert f"expected one prediction of {name_of(0)}" in str(error.value)
  assert f"{name_of(2)}.png: no such file" in str(error.value)
