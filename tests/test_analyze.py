"""What alpha does in a trained network: the command, its numbers against direct ones, its figures."""

import csv
import functools
import json
import math

import chex
import jax
import numpy as np
import pytest
from matplotlib.colors import AsinhNorm
from PIL import Image
from training_cases import run, tiny_config

from ppool_jax import models
from ppool_jax.layers import SideBranch
from ppool_jax.models.grid import Grid
from train.analysis import collect
from train.analysis.alpha_maps import draw_channel_means, draw_figure6, draw_maps, on_pixels
from train.analysis.boundary import EDGE, edge_pixels, windows_at_edges
from train.analysis.observe import Observation, Observer, initial_alpha
from train.analysis.picture import AlphaPictures
from train.analysis.scale import AlphaScale, make_scale
from train.analysis.shifts import ShiftSensitivity, moved
from train.analysis.statistics import UnitStatistics, correlation
from train.analysis.units import Unit, find_units
from train.analyze import analyze
from train.experiment.experiment import initial_variables, make_experiment, open_split
from train.experiment.run import open_run
from train.loop.loop import train
from train.predict import find_alpha
from train.report import _alpha
from train.step.saturation import saturated_units

FIGURES = ("histograms", "boundary", "sparsity", "shift", "figure6")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """Images of 33x46 are padded to 36x48 by the network."""
  folder = tmp_path_factory.mktemp("runs")
  size = {"data__options__size": (33, 46), "data__crop": (33, 46)}
  for pool in ("max", "ppool"):
    train(tiny_config(f"runlocal,pool={pool}", **size), folder / pool)
  return folder


@pytest.fixture(scope="module")
def found(runs):
  """The command's files, and the run."""
  code, output = run(["train.analyze", "--workdir", str(runs / "ppool")])
  assert code == 0, output
  out = runs / "ppool" / "analysis"
  return out, json.loads((out / "analysis.json").read_text()), output


def unit_of(**changes):
  unit = Unit("pool1", Grid(2, 0.5), Grid(), 2, 3, 0.0, 35.0, False)
  return unit._replace(**changes)


def test_the_command_leaves_numbers_and_figures(found):
  out, content, output = found
  assert {key: content[key] for key in ("data", "split", "step", "images", "labeled_images")} == {
    "data": "scenes", "split": "val", "step": 6, "images": 5, "labeled_images": 5,
  }  # fmt: skip
  for name in FIGURES:
    with Image.open(out / f"{name}.png") as image:
      assert np.asarray(image.convert("L")).std() > 5
    assert (out / f"{name}.pdf").read_bytes().startswith(b"%PDF")
  rows = list(csv.DictReader((out / "analysis.csv").read_text().splitlines()))
  assert [(row["unit"], int(row["channel"])) for row in rows] == [
    (unit, channel) for unit, count in (("pool1", 16), ("pool2", 32)) for channel in range(count)
  ]
  means = [float(row["mean"]) for row in rows[:16]]
  np.testing.assert_allclose(means, content["units"]["pool1"]["channels"]["mean"])
  assert "pool2" in output
  assert "5 images" in output


def test_the_numbers_are_those_of_the_maps(found, runs):
  """Against sums over all maps at once, the windows at edges pixel by pixel."""
  content = found[1]["units"]
  opened = open_run(runs / "ppool")
  source = open_split(opened.config, "val")
  maps = [find_alpha(opened.experiment, opened.variables, source[i]["image"]) for i in range(5)]
  for unit, stride, (h, w) in (("pool1", 2, (17, 23)), ("pool2", 4, (8, 12))):
    alpha = np.stack([one[unit] for one in maps]).astype(float)
    assert alpha.shape[:3] == (5, h, w)
    channels = content[unit]["channels"]
    np.testing.assert_allclose(channels["mean"], alpha.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(channels["std"], alpha.std((0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(channels["at_high"], (alpha >= 35).mean((0, 1, 2)), atol=1e-12)
    np.testing.assert_allclose(channels["at_low"], (alpha <= 0).mean((0, 1, 2)), atol=1e-12)
    np.testing.assert_allclose(channels["initial"], 20, rtol=1e-6)
    np.testing.assert_allclose(channels["deviation"], abs(alpha - 20).mean((0, 1, 2)), rtol=1e-3)
    np.testing.assert_allclose(content[unit]["std"], alpha.std(), rtol=1e-4)
    edges, counts = content[unit]["histogram"]["edges"], content[unit]["histogram"]["counts"]
    assert (edges[0], edges[-1], sum(counts)) == (0, 35, alpha.size)
    near = np.array([_near(source[i]["label"], stride, (h, w)) for i in range(5)])
    assert content[unit]["boundary"]["windows"] == (near == 1).sum() > 0
    np.testing.assert_allclose(content[unit]["boundary"]["mean"], alpha[near == 1].mean(), rtol=1e-6)
    np.testing.assert_allclose(content[unit]["inside"]["mean"], alpha[near == 0].mean(), rtol=1e-6)
    difference = content[unit]["boundary_minus_inside"]
    each = [a[n == 1].mean() - a[n == 0].mean() for a, n in zip(alpha, near, strict=True)]
    np.testing.assert_allclose(difference["mean"], np.mean(each), rtol=1e-4)
    np.testing.assert_allclose(difference["standard_error"], np.std(each, ddof=1) / math.sqrt(5), rtol=1e-4)


def _near(label, stride, shape):
  """1: a pixel of the window is within EDGE of another label; 0: none is; -1: its center is void."""
  out = np.zeros(shape, int)
  for i, j in np.ndindex(*shape):
    window = [
      (y, x)
      for y in range(stride * i, min(stride * (i + 1), label.shape[0]))
      for x in range(stride * j, min(stride * (j + 1), label.shape[1]))
    ]
    boxes = (
      label[max(0, y - EDGE) : y + EDGE + 1, max(0, x - EDGE) : x + EDGE + 1] for y, x in window
    )  # fmt: skip
    out[i, j] = any(len(np.unique(box)) > 1 for box in boxes)
    center = tuple(
      min(int(stride * k + (stride - 1) / 2), side - 1) for k, side in zip((i, j), label.shape, strict=True)
    )
    out[i, j] = -1 if label[center] == 255 else out[i, j]
  return out


@pytest.mark.parametrize("window", [4, 6])
def test_windows_larger_than_the_stride_hold_the_edges_in_all_their_pixels(window):
  """Windows of stride 4, centered at 0, 4, ...; the labels change between columns 8 and 9."""
  label = np.zeros((12, 21), np.uint8)
  label[:, 9:] = 1
  label[:, 13:] = 255
  unit = unit_of(grid=Grid(4, 0.0), window=window)
  edge, inner = windows_at_edges(edge_pixels(label, 2), label, unit, (3, 6))
  pixels = [range(math.ceil(4 * i - (window - 1) / 2), math.floor(4 * i + window / 2) + 1) for i in range(6)]
  held = np.array([any(7 <= p <= 10 or 11 <= p <= 14 for p in part if 0 <= p < 21) for part in pixels])
  valid = np.array([True] * 4 + [False] * 2)
  assert not held[5]
  chex.assert_shape([edge, inner], (3, 6))
  np.testing.assert_array_equal(edge, np.broadcast_to(held & valid, (3, 6)))
  np.testing.assert_array_equal(inner, np.broadcast_to(~held & valid, (3, 6)))


def test_sparsity_is_the_share_of_zeros_in_the_image(runs):
  """Of the units' inputs, the features before them, without the padding."""
  opened = open_run(runs / "ppool")
  image = open_split(opened.config, "val")[0]["image"]
  observed = Observer(opened.experiment)(opened.variables, image)
  padded = np.pad(opened.experiment.preprocess(image[None]), ((0, 0), (0, 3), (0, 2), (0, 0)))
  backbone = opened.experiment.model.backbone
  variables = {kind: tree["backbone"] for kind, tree in opened.variables.items()}
  features = jax.jit(backbone.apply)(variables, padded)
  for unit, feature, (h, w) in (("pool1", "conv1", (33, 46)), ("pool2", "conv2", (17, 23))):
    zeros = (np.asarray(features[feature])[0, :h, :w] == 0).mean((0, 1))
    assert 0.05 < zeros.mean() < 0.95
    np.testing.assert_allclose(observed[unit].zeros, zeros, atol=1e-3)


def test_correlations_of_deviation_and_sparsity():
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


def test_counts_do_not_depend_on_how_images_are_divided():
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
def test_histograms_of_wide_ranges_lose_nothing(high):
  unit = unit_of(high=high, logarithmic=math.isfinite(high))
  statistics = UnitStatistics(unit, np.full(3, 3.0))
  alpha = np.array([0, 0.05, 0.3, 3, 30, high], np.float32).reshape(2, 1, 3)
  statistics.add(Observation(alpha, np.zeros(3)))
  assert statistics.counts.sum() == np.count_nonzero(statistics.counts) == 6
  for value in alpha.ravel():
    at = min(np.searchsorted(statistics.edges, value * (1 + 1e-6), "right") - 1, len(statistics.counts) - 1)
    assert statistics.counts[at] > 0, value
  assert statistics.largest == high


def test_a_shift_changes_nothing_in_a_plain_image_and_features_as_computed_directly(runs):
  opened = open_run(runs / "ppool")
  units = find_units(opened.experiment)
  sensitivity = ShiftSensitivity(opened.experiment, units)
  plain = sensitivity(opened.variables, np.full((33, 46, 3), 90, np.uint8))
  assert all(change == 0 for part in plain.values() for change in part.values())
  image = open_split(opened.config, "val")[1]["image"]
  changes = sensitivity(opened.variables, image)
  variables = {kind: tree["backbone"] for kind, tree in opened.variables.items()}
  inputs = opened.experiment.preprocess(np.stack([image[:32, :44], image[:32, 1:45], image[1:33, :44]]))
  for pooling in ("avg", "max", "ppool"):
    pool = opened.experiment.model.backbone.pool if pooling == "ppool" else pooling
    features = jax.jit(models.backbone("vgg_mini", pool).apply)(variables, inputs)
    for unit in units:
      f, right, down = np.asarray(features[unit], float)
      squares = ((right - f) ** 2).sum() / 2 + ((down - f) ** 2).sum() / 2
      np.testing.assert_allclose(changes[pooling][unit], math.sqrt(squares / (f**2).sum()), rtol=1e-4)
  assert len({round(changes[pooling]["pool2"], 6) for pooling in changes}) == 3


def test_images_of_a_shift_show_the_same_thing():
  image = np.arange(35 * 50 * 3).reshape(35, 50, 3)
  still, right, down = moved(image, 16)
  assert still.shape == (32, 48, 3)
  np.testing.assert_array_equal(right[:, :-1], still[:, 1:])
  np.testing.assert_array_equal(down[:-1], still[1:])
  assert moved(image[:32, :49], 16).shape == (3, 16, 48, 3)
  assert moved(image[:9], 16).shape == (3, 8, 48, 3)


def test_units_say_where_their_windows_and_inputs_lie():
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


def test_the_initial_alpha_is_that_of_step_0():
  """Also of a branch that does not start at one value, and whatever has been trained since."""
  config = tiny_config("runlocal,pool=ppool")
  source = functools.partial(SideBranch, initial=15.0, pointwise_stddev=0.5, input_scale=1.0)
  experiment = make_experiment(config)
  backbone = experiment.model.backbone.clone(pool=("ppool", {"alpha": source}))
  experiment = experiment._replace(model=experiment.model.clone(backbone=backbone))
  start, image = initial_variables(experiment, 3), open_split(config, "val")[0]["image"]
  expected = {
    unit: found.alpha.mean((0, 1)) for unit, found in Observer(experiment)(start, image).items()
  }  # fmt: skip
  trained = jax.tree.map_with_path(
    lambda path, leaf: leaf + ("alpha" in [getattr(part, "key", "") for part in path]), start
  )
  chex.assert_trees_all_close(initial_alpha(experiment, trained, image, 3), expected, rtol=1e-5)
  assert expected["pool1"].std() > 0.1


def test_scales():
  linear = make_scale([unit_of(), unit_of(high=30.0)], 99.0)
  assert linear == (35, False, True)
  assert "0 = average pooling, 35 = max pooling" in linear.label
  np.testing.assert_allclose(linear.edges(7), np.arange(0, 36, 5))
  wide = make_scale([unit_of(high=110.0, logarithmic=True), unit_of()], 99.0)
  assert wide == (110, True, True)
  assert isinstance(wide.norm(), AsinhNorm)
  edges = wide.edges(50)
  assert (edges[0], edges[-1]) == (0, pytest.approx(110))
  np.testing.assert_allclose(np.diff(wide.places(edges)), wide.places(110) / 50)
  assert make_scale([unit_of(high=math.inf)], 24.0) == (24, False, False)
  assert make_scale([unit_of(high=math.inf)], 400.0) == (400, True, False)
  assert make_scale([unit_of(high=math.inf)], math.inf).high == 1
  assert "∞ = max pooling" in AlphaScale(24, False, False).label


def pictured(runs):
  opened = open_run(runs / "ppool")
  image = open_split(opened.config, "val")[0]["image"]
  return AlphaPictures(opened.experiment, opened.variables, opened.config.seed)(image)


def test_all_parts_of_figure_6_have_one_scale(runs):
  picture = pictured(runs)
  means, maps = draw_channel_means(picture), draw_maps(picture, "pool2", [3, 5])
  panels = means.axes[1:]
  assert [axis.get_title() for axis in panels] == ["pool1", "pool2"]
  for unit, axis in zip(picture.units, panels, strict=True):
    initial, trained = axis.lines
    assert axis.get_ylim() == pytest.approx((-0.7, 35.7))
    assert set(initial.get_ydata()) == {20}
    np.testing.assert_allclose(trained.get_ydata(), picture.maps[unit].mean((0, 1), dtype=float), rtol=1e-6)
  images = [axis.images[0] for axis in maps.axes if axis.images]
  np.testing.assert_array_equal(images[0].get_array(), picture.image)
  assert [axis.get_title() for axis in maps.axes[1:3]] == ["pool2, channel 3", "pool2, channel 5"]
  whole = draw_figure6(picture)
  drawn = [image for axis in whole.axes for image in axis.images if image.get_array().ndim == 2]
  assert len(drawn) == 2 * 4
  for image in [*images[1:], *drawn]:
    assert (image.norm.vmin, image.norm.vmax) == (0, 35)
    assert image.get_array().shape == picture.image.shape[:2]
  labels = [axis.get_ylabel() for axis in whole.axes]
  assert "alpha (0 = average pooling, 35 = max pooling)" in labels


def test_maps_are_drawn_where_their_windows_lie():
  alpha = np.arange(6.0).reshape(2, 3)
  drawn = on_pixels(alpha, unit_of(grid=Grid(2, 0.5)), (4, 7))
  np.testing.assert_array_equal(drawn, alpha.repeat(2, 0).repeat(2, 1)[:, [0, 1, 2, 3, 4, 5, 5]])
  late = on_pixels(alpha, unit_of(grid=Grid(2, 3.0)), (4, 8))
  np.testing.assert_array_equal(late[0], [0, 0, 0, 0, 0, 1, 1, 2])


def test_a_split_without_labels_has_no_boundary(runs, tmp_path, monkeypatch):
  unlabeled = [{"id": i, "image": np.full((33, 46, 3), 40 * i, np.uint8)} for i in range(3)]
  monkeypatch.setattr(collect, "open_split", lambda config, split: unlabeled)
  (tmp_path / "boundary.png").write_bytes(b"of an earlier analysis")
  analyze(runs / "ppool", split="test", out=tmp_path, images=2)
  content = json.loads((tmp_path / "analysis.json").read_text())
  assert (content["images"], content["labeled_images"]) == (2, 0)
  assert content["units"]["pool1"]["boundary"] == {"mean": None, "windows": 0}
  assert not list(tmp_path.glob("boundary.*"))
  assert (tmp_path / "figure6.pdf").is_file()


def test_errors_come_before_any_work(runs, tmp_path):
  with pytest.raises(ValueError, match=r"max: this network has no P-pooling"):
    analyze(runs / "max", out=tmp_path / "none")
  with pytest.raises(ValueError, match=r"scenes: expected the split train or val, got 'tset'"):
    analyze(runs / "ppool", split="tset", out=tmp_path / "none")
  (tmp_path / "file").write_text("")
  with pytest.raises(ValueError, match=r"--out: expected a folder, got the file .*file"):
    analyze(runs / "ppool", out=tmp_path / "file")
  with pytest.raises(ValueError, match=r"--images: expected at least 1, got 0"):
    analyze(runs / "ppool", images=0)
  with pytest.raises(FileNotFoundError, match="no run there"):
    analyze(tmp_path)
  with pytest.raises(ValueError, match="expected a checkpoint"):
    analyze(runs / "ppool", step=77)
  assert not (tmp_path / "none").exists()


LINE = {"alpha/pool1/low": 0.02, "alpha/pool1/high": 0.03, "alpha/pool2/low": 0.12, "alpha/pool2/high": 0.17}
TRAINED = {"backbone": {unit: {"alpha": {"bias": 0.0}} for unit in ("pool1", "pool2")}}


def test_saturated_units_are_named():
  early = [{"step": i, **LINE, "alpha/pool1/high": 0.9} for i in range(5)]
  lines = [*early, *({"step": 5 + i, **LINE} for i in range(10)), {"step": 15, "eval/miou": 0.5}]
  assert saturated_units(lines, TRAINED) == [
    "29 % of pool2's alphas are at an end of the range (12 % at the least alpha, 17 % at the cap), where "
    "no gradient passes; alpha=log_side_branch does not saturate"
  ]
  assert "alpha=" not in saturated_units(lines, TRAINED, "log_side_branch")[0]
  assert len(saturated_units(lines[:5], TRAINED)) == 2
  assert saturated_units([], TRAINED) == []
  assert saturated_units([{"step": 1, "loss": 2.0}], TRAINED) == []


def test_a_constant_alpha_does_not_saturate():
  model = models.build("vgg_mini", 3, pool=("ppool", {"alpha": 0.0}), width=0.1)
  params = jax.jit(model.init)(jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))["params"]
  assert saturated_units([{"step": 1, "alpha/pool1/low": 1.0, "alpha/pool1/high": 0.0}], params) == []


def test_the_report_shows_what_saturates(runs, tmp_path):
  opened = open_run(runs / "ppool")
  (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, **LINE}) + "\n")
  text = _alpha({"mine": opened, "max": open_run(runs / "max")}, {"mine": tmp_path})
  assert "<p>mine: 29 % of pool2&#x27;s alphas are at an end of the range" in text
  assert text.count("data:image/png;base64,") == 3
