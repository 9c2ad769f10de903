"""Padding of images to multiples changes no prediction away from the padding."""

import jax
import numpy as np

from tests.helpers.evaluation import (
  PixelwiseModel,
  eval_config,
  examples,
  pixelwise_experiment,
)
from train.evaluation.batching import padded_size
from train.evaluation.predictor import Predictor
from train.evaluation.tta import make_classify_fn


def test_padding_changes_nothing_for_a_network_without_context():
  experiment, variables = pixelwise_experiment()
  sizes = [(33, 47), (64, 48), (40, 16), (41, 47)]
  native = Predictor(experiment, eval_config())
  padded = Predictor(experiment, eval_config(pad_multiple=16))
  for example in examples(sizes):
    found = padded(variables, example["image"][None])
    assert found.shape == (1, *example["label"].shape)
    np.testing.assert_array_equal(found, native(variables, example["image"][None]))
  assert set(native.batch_sizes) == {*sizes}
  assert set(padded.batch_sizes) == {(48, 48), (64, 48), (48, 16)}
  assert padded_size((33, 48), 0) == (33, 48)


def test_padding_changes_only_pixels_near_the_padding(network):
  """With vgg_mini, pixels far from the padding are equal and some near it are not."""
  experiment, variables, _, images = network
  image = images[:1, :33, :41]
  same = Predictor(experiment, eval_config(pad_multiple=64))(variables, image) == Predictor(
    experiment, eval_config()
  )(variables, image)
  assert same[:, :8, :8].all()
  assert 0.5 < same.mean() < 1


def test_padding_becomes_zero_after_preprocessing():
  """Padded pixels become nearly zero: the color is rounded to 8 bits."""
  experiment, variables = pixelwise_experiment()
  seen = []
  experiment = experiment._replace(model=PixelwiseModel())
  experiment.model.apply = lambda variables, images: seen.append(images) or images @ variables
  with jax.disable_jit():
    make_classify_fn(experiment, eval_config(window=(8, 8), stride=(8, 8)))(
      variables, np.full((1, 2, 2, 3), 255, np.uint8)
    )
  assert np.abs(seen[-1][:, 2:]).max() < 0.02
  assert np.abs(seen[-1][:, :2, :2]).min() > 1
