"""Networks with weights of Caffe files, compared with recordings of OpenCV (fixtures/record_caffe.py)."""

import pathlib

import jax
import numpy as np
import pytest

from ppool_jax import models, weights
from tests.helpers import peers
from tests.helpers.caffe_networks import NETWORKS, sample_values

OPTIONS = {"vgg16_20m": {"output_stride": 8}}


@pytest.mark.parametrize("name", NETWORKS)
def test_features_equal_those_of_opencv(name, tmp_path):
  net, _ = NETWORKS[name]()
  path = tmp_path / f"{name}.caffemodel"
  path.write_bytes(net.caffemodel())
  variables, preprocess, options = weights.pretrained(name, path)
  assert preprocess.order == "BGR"
  features = jax.jit(models.backbone(name, **OPTIONS.get(name, {}), **options).apply)(variables, net.images)
  recorded = np.load(pathlib.Path(__file__).parents[1] / "fixtures" / f"caffe_{name}.npz")
  assert len(recorded) >= 6
  for feature in recorded:
    peers.check_close(sample_values(features[feature]), recorded[feature], feature)
