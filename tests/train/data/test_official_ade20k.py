"""The metrics equal those of ADE20K's publisher, on genuine label maps.

The definition of intersectionAndUnion.m, demoEvaluation.m and utils_eval.py of CSAILVision/sceneparsing
again, as sets of pixels.
"""

import numpy as np
import pytest

from tests.helpers.assets import ASSETS, needs
from tests.helpers.datasets import save_maps
from tests.helpers.official import class_ious, perturb, read_label
from train.evaluation.entry_points import evaluate_label_maps
from train.prepare import prepare

SAMPLE = ASSETS / "ade20k_sample"


@pytest.fixture(scope="module")
def truths():
  return {file.stem: read_label(file) for file in sorted((SAMPLE / "annotations").glob("*.png"))}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  root = tmp_path_factory.mktemp("ade20k")
  for part in ("images", "annotations"):
    (root / part).mkdir()
    (root / part / "validation").symlink_to(SAMPLE / part)
  prepare("ade20k", str(root), str(root / "data"), partial=True)
  return str(root / "data")


def counted(truths, found, beyond="dropped"):
  """Intersection and union of the classes 1..150 over labeled pixels, [2, 150].

  Args:
    beyond: what becomes of a prediction above 150. Python's histogram has it "dropped", MATLAB's, whose
      last bin has no upper end, counts it in the "last" class's.
  """
  total = np.zeros((2, 150))
  for truth, guess in ((truths[name].ravel(), found[name].ravel()) for name in truths):
    truth, guess = truth[truth > 0], guess[truth > 0]
    binned = np.minimum(guess, 150) if beyond == "last" else guess
    for c in range(1, 151):
      hits = np.sum((truth == c) & (guess == c))
      total[:, c - 1] += hits, np.sum(truth == c) + np.sum(binned == c) - hits
  return total


@needs("ade20k_sample")
@pytest.mark.parametrize("most", [40, 255])
def test_scores_equal_sceneparsings(most, truths, data, tmp_path):
  """Predictions include 0 and values up to 255; absent classes count as 0 only in the official mean."""
  found = perturb(truths, np.arange(most + 1))
  results = evaluate_label_maps(save_maps(tmp_path / "p", found), "ade20k", data, ids="raw")
  areas = counted(truths, found)
  official = areas[0] / (np.spacing(1) + areas[1])
  np.testing.assert_allclose(np.nan_to_num(class_ious(results)), official, rtol=1e-12)
  assert results["miou_official"] == pytest.approx(official.mean(), rel=1e-12)
  right = sum(np.sum((x == found[name]) & (x > 0)) for name, x in truths.items())
  labeled = sum(np.sum(x > 0) for x in truths.values())
  assert results["pixel_accuracy"] == pytest.approx(right / labeled, rel=1e-12)

  occurs = areas[1] > 0
  assert (~np.isnan(class_ious(results))).tolist() == occurs.tolist()
  assert results["miou"] == pytest.approx(official[occurs].mean(), rel=1e-12)
  assert occurs.all() == (most == 255)


@needs("ade20k_sample")
def test_published_programs_differ_above_150(truths):
  """MATLAB's adds them to the union of class 150, "flag"; here, as in Python's, they count as wrong."""
  found = perturb(truths, np.arange(256))
  python, matlab = (counted(truths, found, beyond) for beyond in ("dropped", "last"))
  np.testing.assert_array_equal(python[:, :149], matlab[:, :149])
  assert matlab[1, 149] > python[1, 149]


@needs("ade20k_sample")
def test_scores_of_the_demos_predictions(data, tmp_path):
  """The predictions are correct on all labeled pixels; only absent classes lower the official mean."""
  (tmp_path / "demo").symlink_to(SAMPLE / "predictions")
  results = evaluate_label_maps(tmp_path / "demo", "ade20k", data, ids="raw")
  assert (results["miou"], results["pixel_accuracy"], results["no_class"]) == (1, 1, 0)
  assert results["miou_official"] == np.sum(class_ious(results) == 1) / 150
