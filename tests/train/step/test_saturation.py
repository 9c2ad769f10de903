"""Warnings of pools whose alphas are at an end of their range."""

import jax
import numpy as np

from ppool_jax import models
from tests.helpers.analysis import LINE
from train.step.saturation import describe_saturation

TRAINED = {"backbone": {unit: {"alpha": {"bias": 0.0}} for unit in ("pool1", "pool2")}}


def test_pools_with_saturated_alphas_are_named():
  early = [{"step": i, **LINE, "alpha/pool1/high": 0.9} for i in range(5)]
  lines = [*early, *({"step": 5 + i, **LINE} for i in range(10)), {"step": 15, "eval/miou": 0.5}]
  assert describe_saturation(lines, TRAINED) == [
    "29 % of pool2's alphas are at an end of the range (12 % at the least alpha, 17 % at the cap), where "
    "no gradient passes; alpha=log_side_branch does not saturate"
  ]
  assert "alpha=" not in describe_saturation(lines, TRAINED, "log_side_branch")[0]
  assert len(describe_saturation(lines[:5], TRAINED)) == 2
  assert describe_saturation([], TRAINED) == []
  assert describe_saturation([{"step": 1, "loss": 2.0}], TRAINED) == []


def test_a_constant_alpha_does_not_saturate():
  model = models.build("vgg_mini", 3, pool=("ppool", {"alpha": 0.0}), width=0.1)
  params = jax.jit(model.init)(jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))["params"]
  assert describe_saturation([{"step": 1, "alpha/pool1/low": 1.0, "alpha/pool1/high": 0.0}], params) == []
