"""Networks through Caffe files, against what OpenCV made of the same (fixtures/record_caffe.py)."""

import pathlib

import jax
import numpy as np
import pytest

from ppool_jax import models, weights
from tests.helpers import peers
from tests.helpers.caffe_networks import NETWORKS, thinned

OPTIONS = {"vgg16_20m": {"output_stride": 8}}


@pytest.mark.parametrize("name", NETWORKS)
def test_caffe(name, tmp_path):
  net, _ = NETWORKS[name]()
  path = tmp_path / f"{name}.caffemodel"
  path.write_bytes(net.caffemodel())
  variables, preprocess, options = weights.pretrained(name, path)
  assert preprocess.order == "BGR"
  features = jax.jit(models.backbone(name, **OPTIONS.get(name, {}), **options).apply)(variables, net.images)
  recorded = np.load(pathlib.Path(__file__).parents[1] / "fixtures" / f"caffe_{name}.npz")
  assert len(recorded) >= 6
  for feature in recorded:
    difference = peers.relative(thinned(features[feature]), recorded[feature])
    print(f"{feature}: relative difference {difference:.2e}")
    assert difference < 1e-4, feature
