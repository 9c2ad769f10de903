"""Fixtures of the evaluation tests."""

import jax
import numpy as np
import pytest

from tests.helpers.evaluation import examples
from tests.helpers.training import tiny_config
from train.experiment.experiment import init_variables, make_experiment


@pytest.fixture(scope="session")
def network():
  """vgg_mini with random parameters: experiment, variables, `classes by pixel`, and some images."""
  experiment = make_experiment(tiny_config())
  variables = init_variables(experiment, 0)
  images = np.stack([example["image"] for example in examples([(40, 56)] * 3)])

  def probabilities(variables, images):
    return jax.nn.softmax(experiment.model.apply(variables, experiment.preprocess(images)))

  return experiment, variables, probabilities, images
