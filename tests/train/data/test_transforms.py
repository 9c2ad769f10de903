"""Properties of all transforms, and the pipeline that a config describes."""

import types

import numpy as np
import pytest

from tests.helpers.transforms import ALL, MEAN, example, rng
from train.data.classes import IGNORE
from train.data.transforms.compose import Compose, train_transform


@pytest.mark.parametrize("name", ALL)
def test_input_is_unchanged_and_output_complete(name):
  before = example()
  given = {key: np.array(value) if key != "id" else value for key, value in before.items()}
  for seed in range(8):
    after = ALL[name](given, rng(seed))
    assert set(after) == {"id", "image", "label"}
    assert after["id"] == "a"
    assert after["image"].dtype == after["label"].dtype == np.uint8
    assert after["image"].shape == (*after["label"].shape, 3)
    np.testing.assert_array_equal(given["image"], before["image"])
    np.testing.assert_array_equal(given["label"], before["label"])


@pytest.mark.parametrize("name", ALL)
def test_input_may_be_read_only(name):
  given = example()
  given["image"].flags.writeable = given["label"].flags.writeable = False
  for seed in range(4):
    ALL[name](given, rng(seed))


@pytest.mark.parametrize("name", ALL)
def test_result_depends_only_on_the_generator(name):
  outcomes = []
  for seed in (0, 1, 2, 3, 4, 5, 6, 7):
    first, second = (ALL[name](example(), rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first["image"], second["image"])
    np.testing.assert_array_equal(first["label"], second["label"])
    outcomes.append(first["image"].tobytes())
  assert len(set(outcomes)) > 1


def config(**changes):
  fields = {"scale": (0.5, 2.0), "crop": (20, 24), "flip": True, "photometric": 1.0}
  return types.SimpleNamespace(**{**fields, **changes})


def test_train_transform_follows_the_config():
  chosen = tuple(ALL[name] for name in ("scaled crop", "flip", "photometric"))
  assert train_transform(config(), MEAN) == Compose(chosen)
  plain = train_transform(config(flip=False, photometric=0), MEAN)
  assert plain == Compose((ALL["scaled crop"],))


def test_train_transform_size_and_label_values():
  given = example()
  for seed in range(30):
    after = train_transform(config(), MEAN)(given, rng(seed))
    assert after["image"].shape == (20, 24, 3)
    assert after["label"].shape == (20, 24)
    assert set(np.unique(after["label"])) <= {*range(11), IGNORE}


def test_compose_draws_from_one_generator():
  given, chain, together = example(), Compose((ALL["scale"], ALL["crop"])), rng(5)
  expected = ALL["crop"](ALL["scale"](given, together), together)
  np.testing.assert_array_equal(chain(given, rng(5))["image"], expected["image"])
