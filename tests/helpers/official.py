"""Label maps and predictions for the publishers' definitions of scores."""

import numpy as np
from PIL import Image


def label(file):
  with Image.open(file) as image:
    return np.asarray(image)


def disturbed(truths, values, void=None):
  """Predictions by name: truths moved by some pixels, a fifth of them any of `values`; none is void."""
  found = {}
  for seed, (name, truth) in enumerate(truths.items()):
    rng = np.random.default_rng(seed)
    moved, noise = np.roll(truth, (2, 3), (0, 1)), rng.choice(values, truth.shape)
    guess = np.where(rng.random(truth.shape) < 0.8, moved, noise)
    found[name] = np.where(guess == void, 0, guess).astype(np.uint8)
  return found


def numbers(results):
  """IoU of every class, NaN where there is none."""
  return np.array([np.nan if v is None else v for v in results["per_class_iou"].values()])
