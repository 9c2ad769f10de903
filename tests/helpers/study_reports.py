"""Synthetic results of studies, for tests of their reports."""

import numpy as np

from train.studies.result import Result, VariantInfo

CLASSES = ("Road", "Pole", "Sign_A", "Sky")
THIN = frozenset({"Pole", "Sign_A"})
MAX = VariantInfo("max", "max pooling")
PPOOL = VariantInfo("ppool", "P-pooling, \N{GREEK SMALL LETTER ALPHA} & 5 %_{x}", "max")
ALLCONV = VariantInfo("all_conv", "All-C", "max")
VARIANTS = (MAX, PPOOL, ALLCONV)


def make_scores(ious, accuracy=0.9):
  """Scores of an evaluation with these IoUs of `CLASSES`; None: the class does not occur."""
  present = [value for value in ious if value is not None]
  by_name = dict(zip(CLASSES, ious, strict=True))
  return {
    "miou": float(np.mean(present)),
    "thin_iou": float(np.mean([by_name[name] for name in THIN])),
    "pixel_accuracy": accuracy,
    "boundary_ratio": 0.02,
    "boundary_iou": float(np.mean(present)) / 2,
    "per_class_iou": by_name,
    "per_class_boundary_iou": {name: value and value / 2 for name, value in by_name.items()},
    "per_class_pixels": {name: 0 if value is None else 50 for name, value in by_name.items()},
    "trimap_miou": {"4": float(np.mean(present)) / 3, "16": float(np.mean(present)) / 1.5},
  }


def finished(variant, seed, ious, accuracy=0.9):
  config = {"data": {"eval_split": "val"}, "seed": seed}
  return Result(
    variant, seed, "finished", 600, make_scores(ious, accuracy), 12.5, config, {"commit": "abc123"}
  )


def diverged(variant, seed, step):
  return Result(variant, seed, "diverged", step, {}, 3.0, {}, {"commit": "abc123"})


def random_results(variants, seeds, gains, spread=0.005):
  """Finished runs of all variants and seeds.

  Args:
    gains: gain of a variant over the first one in every class, 0..1, by name.
  """
  draw = np.random.default_rng(0)
  base, common = draw.uniform(0.3, 0.8, 3), draw.normal(0, 0.01, seeds)
  return [
    finished(
      variant.name,
      seed,
      [*(base + common[seed] + gains.get(variant.name, 0) + draw.normal(0, spread, 3)).tolist(), None],
      0.9 + draw.normal(0, 0.002),
    )
    for variant in variants
    for seed in range(seeds)
  ]


def cells(text, start):
  """The cells of the first table row whose first cell is `start`."""
  line = next(line for line in text.splitlines() if line.startswith(f"| {start} |"))
  return [cell.strip() for cell in line.strip("|").split("|")]
