"""The command train.analyze: its files, statistics compared with direct computations, and figures."""

import csv
import json
import math

import jax
import numpy as np
import pytest
from PIL import Image

from ppool_jax import models
from tests.helpers.analysis import LINE, alpha_maps, windows_near_edges
from tests.helpers.training import run, tiny_config
from train.analysis import collect
from train.analysis.alpha_maps import draw_channel_means, draw_figure6, draw_maps
from train.analysis.observe import Observer
from train.analysis.picture import AlphaExtractor
from train.analysis.shifts import ShiftSensitivity
from train.analysis.units import find_units
from train.analyze import analyze
from train.experiment.experiment import open_split
from train.experiment.run import open_run
from train.loop.loop import train
from train.reporting.alpha_section import build_alpha_section

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


def test_command_writes_statistics_and_figures(found):
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


def test_statistics_equal_those_of_the_maps(found, runs):
  """Compares with sums over all maps at once, with the windows at edges found pixel by pixel."""
  content = found[1]["units"]
  opened = open_run(runs / "ppool")
  source = open_split(opened.config, "val")
  maps = [alpha_maps(opened.experiment, opened.variables, source[i]["image"]) for i in range(5)]
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
    near = np.array([windows_near_edges(source[i]["label"], stride, (h, w)) for i in range(5)])
    assert content[unit]["boundary"]["windows"] == (near == 1).sum() > 0
    np.testing.assert_allclose(content[unit]["boundary"]["mean"], alpha[near == 1].mean(), rtol=1e-6)
    np.testing.assert_allclose(content[unit]["inside"]["mean"], alpha[near == 0].mean(), rtol=1e-6)
    difference = content[unit]["boundary_minus_inside"]
    each = [a[n == 1].mean() - a[n == 0].mean() for a, n in zip(alpha, near, strict=True)]
    np.testing.assert_allclose(difference["mean"], np.mean(each), rtol=1e-4)
    np.testing.assert_allclose(difference["standard_error"], np.std(each, ddof=1) / math.sqrt(5), rtol=1e-4)


def test_sparsity_is_the_fraction_of_zeros_in_the_image(runs):
  """Compares with the features before the units, without the padding."""
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


def test_shift_change_of_constant_and_natural_images(runs):
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


def pictured(runs):
  opened = open_run(runs / "ppool")
  image = open_split(opened.config, "val")[0]["image"]
  return AlphaExtractor(opened.experiment, opened.variables, opened.config.seed)(image)


def test_all_parts_of_figure_6_share_one_scale(runs):
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


def test_split_without_labels_has_no_boundary_figure(runs, tmp_path, monkeypatch):
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


def test_report_lists_saturated_units(runs, tmp_path):
  opened = open_run(runs / "ppool")
  (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, **LINE}) + "\n")
  text = build_alpha_section({"mine": opened, "max": open_run(runs / "max")}, {"mine": tmp_path})
  assert "<p>mine: 29 % of pool2&#x27;s alphas are at an end of the range" in text
  assert text.count("data:image/png;base64,") == 3
