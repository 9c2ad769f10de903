"""Networks through Caffe files, against what OpenCV made of the same (fixtures/record_caffe.py)."""

import pathlib

import jax
import numpy as np
import peers
import pytest
from caffe_networks import IMAGES, NETWORKS, thinned

from ppool_jax import models, weights

OPTIONS = {"vgg16_20m": {"output_stride": 8}, "resnet50": {}}


@pytest.mark.parametrize("name", NETWORKS)
def test_caffe(name, tmp_path):
  net, _ = NETWORKS[name]()
  path = tmp_path / f"{name}.caffemodel"
  path.write_bytes(net.caffemodel())
  variables, preprocess, options = weights.pretrained(name, path)
  assert preprocess == weights.preprocess.CAFFE
  features = jax.jit(models.backbone(name, **OPTIONS[name], **options).apply)(variables, IMAGES)
  recorded = np.load(pathlib.Path(__file__).parent / "fixtures" / f"caffe_{name}.npz")
  assert set(recorded) >= {"fc6", "fc7", "pool5a"} or set(recorded) >= {"res2", "res5"}
  for feature in recorded:
    difference = peers.relative(thinned(features[feature]), recorded[feature])
    print(f"{feature}: relative difference {difference:.2e}")
    assert difference < 1e-4, feature
