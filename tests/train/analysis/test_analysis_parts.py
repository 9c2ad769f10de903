"""Modules of train.analysis on handmade inputs: edges, statistics, histograms, units, scales."""

import functools
import math

import chex
import jax
import numpy as np
import pytest
from matplotlib.colors import AsinhNorm

from ppool_jax.layers import SideBranch
from ppool_jax.models.grid import Grid
from tests.helpers.training import tiny_config
from train.analysis.alpha_maps import resize_to_pixels
from train.analysis.boundary import find_edge_pixels, split_windows_at_edges
from train.analysis.observe import Observation, Observer, compute_initial_alpha
from train.analysis.scale import AlphaScale, make_scale
from train.analysis.shifts import crop_shifted
from train.analysis.statistics import UnitStatistics, correlation
from train.analysis.units import Unit, find_units
from train.experiment.experiment import init_variables, make_experiment, open_split


def unit_of(**changes):
  unit = Unit("pool1", Grid(2, 0.5), Grid(), 2, 3, 0.0, 35.0, False)
  return unit._replace(**changes)


@pytest.mark.parametrize("window", [4, 6])
def test_windows_larger_than_the_stride_contain_all_their_edges(window):
  """Windows of stride 4, centered at 0, 4, ...; the labels change between columns 8 and 9."""
  label = np.zeros((12, 21), np.uint8)
  label[:, 9:] = 1
  label[:, 13:] = 255
  unit = unit_of(grid=Grid(4, 0.0), window=window)
  edge, inner = split_windows_at_edges(find_edge_pixels(label, 2), label, unit, (3, 6))
  pixels = [range(math.ceil(4 * i - (window - 1) / 2), math.floor(4 * i + window / 2) + 1) for i in range(6)]
  held = np.array([any(7 <= p <= 10 or 11 <= p <= 14 for p in part if 0 <= p < 21) for part in pixels])
  valid = np.array([True] * 4 + [False] * 2)
  assert not held[5]
  chex.assert_shape([edge, inner], (3, 6))
  np.testing.assert_array_equal(edge, np.broadcast_to(held & valid, (3, 6)))
  np.testing.assert_array_equal(inner, np.broadcast_to(~held & valid, (3, 6)))


def test_correlation_of_deviation_and_sparsity():
  x = np.array([0.1, 0.2, 0.5, 0.9])
  chex.assert_trees_all_close(correlation(x, 3 - 2 * x), {"pearson": -1.0, "spearman": -1.0})
  assert correlation(x, np.ones(4)) == {"pearson": None, "spearman": None}
  bent = correlation(x, np.exp(9 * x))
  assert bent["spearman"] == pytest.approx(1)
  assert bent["pearson"] < 0.95
  statistics = UnitStatistics(unit_of(), np.full(3, 20.0))
  alpha = np.broadcast_to(np.array([20, 17, 11], np.float32), (4, 5, 3))
  statistics.add(Observation(alpha, np.array([0.1, 0.2, 0.4])))
  assert statistics.results()["deviation_against_sparsity"]["pearson"] == pytest.approx(1)


def test_counts_do_not_depend_on_the_division_of_images():
  draw = np.random.default_rng(0)
  alpha = draw.uniform(0, 35, (6, 4, 3)).astype(np.float32)
  alpha[0, 0], alpha[1, 1] = 0, 35
  once, twice = (UnitStatistics(unit_of(), np.full(3, 20.0)) for _ in range(2))
  once.add(Observation(alpha, np.zeros(3)))
  twice.add(Observation(alpha[:3], np.zeros(3)))
  twice.add(Observation(alpha[3:], np.zeros(3)))
  np.testing.assert_array_equal(once.counts, twice.counts)
  chex.assert_trees_all_close(once.per_channel(), twice.per_channel(), rtol=1e-12)
  assert once.counts.sum() == alpha.size
  np.testing.assert_array_equal(once.counts, np.histogram(alpha, 70, (0, 35))[0])


@pytest.mark.parametrize("high", [110.0, math.inf])
def test_histograms_of_wide_ranges_count_all_alphas(high):
  unit = unit_of(high=high, logarithmic=math.isfinite(high))
  statistics = UnitStatistics(unit, np.full(3, 3.0))
  alpha = np.array([0, 0.05, 0.3, 3, 30, high], np.float32).reshape(2, 1, 3)
  statistics.add(Observation(alpha, np.zeros(3)))
  assert statistics.counts.sum() == np.count_nonzero(statistics.counts) == 6
  for value in alpha.ravel():
    at = min(np.searchsorted(statistics.edges, value * (1 + 1e-6), "right") - 1, len(statistics.counts) - 1)
    assert statistics.counts[at] > 0, value
  assert statistics.largest == high


def test_shifted_crops_show_the_same_content():
  image = np.arange(35 * 50 * 3).reshape(35, 50, 3)
  still, right, down = crop_shifted(image, 16)
  assert still.shape == (32, 48, 3)
  np.testing.assert_array_equal(right[:, :-1], still[:, 1:])
  np.testing.assert_array_equal(down[:-1], still[1:])
  assert crop_shifted(image[:32, :49], 16).shape == (3, 16, 48, 3)
  assert crop_shifted(image[:9], 16).shape == (3, 8, 48, 3)


def test_units_have_the_grids_of_their_windows_and_inputs():
  def units(name, stride, pool="ppool"):
    config = tiny_config("runlocal,pool=ppool")
    config.model.name, config.model.width = name, 0.05
    config.model.output_stride = stride
    return find_units(make_experiment(config))

  found = units("vgg16", 8)
  assert list(found) == [f"pool{s}" for s in range(1, 6)]
  assert found["pool1"][1:4] == (Grid(2, 0.5), Grid(1, 0.0), 2)
  assert found["pool5"][2:4] == (Grid(8, 7.5), 8 * 3)  # cells at 0 and 2 cells of 8 pixels: 3 cells
  assert (found["pool3"].low, found["pool3"].high, found["pool3"].logarithmic) == (0, 35, False)
  assert units("vgg16_largefov", 16)["pool2"][1:4] == (Grid(4, 0.0), Grid(2, 0.0), 6)


def test_initial_alpha_is_that_of_step_0():
  """The branch does not start at a single value, and its parameters have been trained."""
  config = tiny_config("runlocal,pool=ppool")
  source = functools.partial(SideBranch, initial=15.0, pointwise_stddev=0.5, input_scale=1.0)
  experiment = make_experiment(config)
  backbone = experiment.model.backbone.clone(pool=("ppool", {"alpha": source}))
  experiment = experiment._replace(model=experiment.model.clone(backbone=backbone))
  start, image = init_variables(experiment, 3), open_split(config, "val")[0]["image"]
  expected = {
    unit: found.alpha.mean((0, 1)) for unit, found in Observer(experiment)(start, image).items()
  }  # fmt: skip
  trained = jax.tree.map_with_path(
    lambda path, leaf: leaf + ("alpha" in [getattr(part, "key", "") for part in path]), start
  )
  chex.assert_trees_all_close(compute_initial_alpha(experiment, trained, image, 3), expected, rtol=1e-5)
  assert expected["pool1"].std() > 0.1


def test_scales():
  linear = make_scale([unit_of(), unit_of(high=30.0)], 99.0)
  assert linear == (35, False, True)
  assert "0 = average pooling, 35 = max pooling" in linear.label
  np.testing.assert_allclose(linear.bin_edges(7), np.arange(0, 36, 5))
  wide = make_scale([unit_of(high=110.0, logarithmic=True), unit_of()], 99.0)
  assert wide == (110, True, True)
  assert isinstance(wide.norm(), AsinhNorm)
  edges = wide.bin_edges(50)
  assert (edges[0], edges[-1]) == (0, pytest.approx(110))
  np.testing.assert_allclose(np.diff(wide.to_axis(edges)), wide.to_axis(110) / 50)
  assert make_scale([unit_of(high=math.inf)], 24.0) == (24, False, False)
  assert make_scale([unit_of(high=math.inf)], 400.0) == (400, True, False)
  assert make_scale([unit_of(high=math.inf)], math.inf).high == 1
  assert "∞ = max pooling" in AlphaScale(24, False, False).label


def test_maps_are_drawn_at_their_windows():
  alpha = np.arange(6.0).reshape(2, 3)
  drawn = resize_to_pixels(alpha, unit_of(grid=Grid(2, 0.5)), (4, 7))
  np.testing.assert_array_equal(drawn, alpha.repeat(2, 0).repeat(2, 1)[:, [0, 1, 2, 3, 4, 5, 5]])
  late = resize_to_pixels(alpha, unit_of(grid=Grid(2, 3.0)), (4, 8))
  np.testing.assert_array_equal(late[0], [0, 0, 0, 0, 0, 1, 1, 2])
