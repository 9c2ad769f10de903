"""The metrics equal those of PASCAL VOC's development kit, on genuine label maps.

The definition of VOCdevkit 2012's VOCevalseg.m again.
"""

import numpy as np
import pytest

from tests.helpers.assets import ASSETS, needs
from tests.helpers.datasets import save_maps, voc_palette, write_lines
from tests.helpers.official import class_ious, perturb, read_label
from train.evaluation.entry_points import evaluate_label_maps
from train.prepare import prepare

SUBSET = ASSETS / "voc12_subset" / "VOC2012"


@pytest.fixture(scope="module")
def truths():
  """Every sixteenth image of the subset."""
  ids = (SUBSET / "ImageSets" / "Segmentation" / "val.txt").read_text().split()[::16]
  return {name: read_label(SUBSET / "SegmentationClassAug" / f"{name}.png") for name in ids}


@pytest.fixture(scope="module")
def data(truths, tmp_path_factory):
  root = tmp_path_factory.mktemp("voc")
  (root / "VOC2012").mkdir()
  (root / "VOC2012" / "JPEGImages").symlink_to(SUBSET / "JPEGImages")
  (root / "VOC2012" / "SegmentationClass").symlink_to(SUBSET / "SegmentationClassAug")
  write_lines(root / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt", truths)
  prepare("voc", str(root), str(root / "data"), partial=True)
  return str(root / "data")


def official(truths, found):
  """Counts of (true, predicted) class where the truth is not 255, [21, 21], and IoU; 0 / 0 is NaN.

  Raises:
    ValueError: a prediction above 20.
  """
  counts = np.zeros((21, 21))
  for name, truth in truths.items():
    if found[name].max() > 20:
      raise ValueError(f"{name}: {found[name].max()} is out of range")
    np.add.at(counts, (truth[truth < 255], found[name][truth < 255]), 1)
  with np.errstate(invalid="ignore"):
    return counts, np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))


@needs("voc12_subset")
@pytest.mark.parametrize("most", [7, 20])
def test_scores_equal_the_development_kits(most, truths, data, tmp_path):
  """Predictions are palette images. Their mean is NaN if a class is absent, as for `most` = 7."""
  found = perturb(truths, np.arange(most + 1), void=255)
  results = evaluate_label_maps(save_maps(tmp_path / "p", found, voc_palette()), "voc", data, ids="raw")
  counts, iou = official(truths, found)
  np.testing.assert_allclose(class_ious(results), iou, rtol=1e-12)
  assert results["miou"] == pytest.approx(np.nanmean(iou), rel=1e-12)
  assert results["pixel_accuracy"] == pytest.approx(np.trace(counts) / counts.sum(), rel=1e-12)
  assert np.isnan(iou.mean()) == (most == 7)
  if most == 20:
    assert results["miou_official"] == results["miou"] == pytest.approx(iou.mean(), rel=1e-12)


@needs("voc12_subset")
@pytest.mark.parametrize("value", [21, 255])
def test_value_above_20_counts_as_wrong_where_theirs_fails(value, truths, data, tmp_path):
  """The value counts as a class that is wrong everywhere and whose own IoU is ignored."""
  found = perturb(truths, np.arange(21), void=255)
  strange = {name: np.where(labels == 1, value, labels).astype(np.uint8) for name, labels in found.items()}
  with pytest.raises(ValueError, match="out of range"):
    official(truths, strange)
  results = evaluate_label_maps(save_maps(tmp_path / "p", strange), "voc", data)
  counts, iou = official(truths, found)
  assert not counts[1].any(), "no aeroplane in these images"
  iou[1] = np.nan
  np.testing.assert_allclose(class_ious(results), iou, rtol=1e-12)
  assert results["no_class"] == pytest.approx(counts[:, 1].sum() / counts.sum())
