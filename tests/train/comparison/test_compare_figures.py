"""What a comparison of two runs draws and chooses, on arrays made for it."""

import itertools
import pathlib

import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.text import Text

from tests.helpers.evaluation import RAW
from tests.helpers.training import tiny_config
from train.comparison import figure4, figure5
from train.comparison.examples import Box, Example
from train.comparison.gains import class_gains
from train.comparison.selection import LargestGains
from train.comparison.titles import distinct_titles, pool_title, workdir_names
from train.data.classes import IGNORE
from train.data.registry import get_dataset
from train.visualization.colorize import colorize


def example(name="a", gain=0.1, label=None, predictions=None, size=(8, 12)):
  zeros = np.zeros(size, np.uint8)
  label = zeros if label is None else label
  return Example(
    name, np.zeros((*size, 3), np.uint8), label, predictions or (zeros, zeros), (0.5, 0.5 + gain)
  )


def test_choice_by_gain():
  """Ties by id, nothing of an image that is all ignored, and never more than asked for."""
  chosen = LargestGains(3)
  for name, gain in (("d", 0.1), ("b", 0.2), ("x", np.nan), ("c", 0.1), ("a", -0.5), ("e", 0.3)):
    chosen.add(example(name, gain))
    assert len(chosen.examples()) <= 3
  assert [kept.id for kept in chosen.examples()] == ["e", "b", "c"]


def test_the_box_is_where_predictions_differ_most():
  label, first, second = (np.zeros((16, 40), np.uint8) for _ in range(3))
  second[10:12, 24:27] = 1
  second[2, 3:8] = 2  # fewer
  label[0:9, 30:40], second[0:9, 30:40] = IGNORE, 3  # more, where nothing counts
  shown = example(label=label, predictions=(first, second), size=label.shape)
  box = shown.difference_box()
  assert (box.height, box.width) == (4, 10)
  assert box.crop(second).tolist() == second[box.top : box.top + 4, box.left : box.left + 10].tolist()
  assert (box.crop(second) == 1).sum() == 6
  assert abs(box.top + 2 - 11) <= 1  # in the middle
  assert abs(box.left + 5 - 25.5) <= 1
  assert example().difference_box() is None


def test_no_other_box_holds_more():
  draw = np.random.default_rng(0)
  label = np.where(draw.random((21, 30)) < 0.2, IGNORE, 0).astype(np.uint8)
  first, second = draw.integers(0, 2, (2, 21, 30)).astype(np.uint8)
  box = example(label=label, predictions=(first, second), size=label.shape).difference_box()
  differ = (first != second) & (label != IGNORE)
  assert box[2:] == (5, 8)
  counts = [differ[y : y + 5, x : x + 8].sum() for y in range(17) for x in range(23)]
  assert box.crop(differ).sum() == max(counts)


def test_absent_classes_and_ties():
  """Sky is nowhere; car is predicted only: no gain of either. Equal gains in the table's order."""
  first = np.array([[6, 2, 0, 0], [2, 6, 0, 0], [0] * 4, [0] * 4])
  second = np.array([[7, 0, 0, 1], [0, 7, 0, 1], [0] * 4, [0] * 4])
  present, absent = class_gains(first, second, RAW)
  assert [row.name for row in present] == ["road", "pole"]
  assert [row.gain for row in present] == pytest.approx([100 * (7 / 8 - 6 / 10)] * 2)
  assert absent == ["sky", "car"]
  with pytest.raises(ValueError, match="the two evaluations are of different labels"):
    class_gains(first, 2 * second, RAW)


def texts_of(figure):
  """All texts, after a look that nothing drawn reaches over the figure's edge."""
  figure.draw_without_rendering()
  drawn, inches = figure.get_tightbbox(), figure.get_size_inches()
  assert min(drawn.x0, drawn.y0) > -0.02  # of an inch, as a box's line
  assert (np.array([drawn.x1, drawn.y1]) < inches + 0.02).all()
  return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


TITLES = ("max pooling", "P-pooling, log side branch, initial = 3, in pool1, pool2, pool3")


def test_figure_4_shows_the_panels():
  """Upright and lying images, 150 classes in the legend, a long heading: nothing is cut."""
  table = get_dataset("ade20k").table
  draw = np.random.default_rng(0)
  rows = []
  for size in ((30, 40), (60, 20)):
    label, first = (draw.integers(0, 150, size).astype(np.uint8) for _ in range(2))
    label[0, 0] = IGNORE
    second = first.copy()
    second[3:6, 4:9] = 149 - second[3:6, 4:9]
    rows.append(Example("a", draw.integers(0, 256, (*size, 3), np.uint8), label, (first, second), (0, 1)))
  figure = figure4.draw(rows, TITLES, table, zoom=True)
  shown = [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes]
  panels = []
  for row in rows:
    maps = [row.image, *(colorize(labels, table) for labels in (row.label, *row.predictions))]
    panels += [*maps, *(row.difference_box().crop(panel) for panel in maps)]
  assert len(shown) == len(panels) == 16
  for drawn, panel in zip(shown, panels, strict=True):
    np.testing.assert_array_equal(drawn, panel)
  assert [len(axes.patches) for axes in figure.axes] == [1] * 4 + [0] * 4 + [1] * 4 + [0] * 4
  texts = texts_of(figure)
  assert texts[:3] == ["image", "ground truth", "max pooling"]
  assert texts[3].replace("\n", " ") == TITLES[1]
  assert texts.count("ignored") == 1
  assert len(texts) == 4 + len(
    set().union(*(np.unique(m) for row in rows for m in (row.label, *row.predictions)))
  )
  for axes in figure.axes:  # pixels are square
    height, width = axes.get_images()[0].get_array().shape[:2]
    assert axes.bbox.width / axes.bbox.height == pytest.approx(width / height, rel=1e-6)


@pytest.mark.parametrize("classes", [4, 150])
def test_figure_5_is_legible(classes):
  table = RAW if classes == 4 else get_dataset("ade20k").table
  draw = np.random.default_rng(0)
  first = np.diag(draw.integers(10, 90, classes))
  first[0] = 0
  second = first.copy()
  for k in range(1, classes):
    second[k, k] -= k % 7
    second[k, 0] += k % 7
  present, absent = class_gains(first, second, table)
  figure = figure5.draw(present, absent, TITLES, "val")
  texts = texts_of(figure)
  bars = [patch.get_width() for patch in figure.axes[0].patches]
  kept = present if classes == 4 else [*present[:25], *present[-10:]]
  assert bars == pytest.approx([row.gain for row in kept])
  assert ("(114 more)" in texts) == (classes == 150)
  assert f"not in val: {absent[0].split(';')[0]}" in "\n".join(texts)
  labels = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
  assert all(upper.y0 >= lower.y1 - 1 for upper, lower in itertools.pairwise(labels))


def test_intervals_are_error_bars_within_the_figure():
  """The number stands outside the bar's interval; a class without one has none."""
  first = np.diag([40, 50, 60, 70])
  second = first + np.array([[-9, 9, 0, 0], [0] * 4, [0, 5, -5, 0], [0] * 4])
  present, absent = class_gains(second, first, RAW)
  ends = {"road": (1.0, 40.0), "car": (-1.5, 0.5)}
  present = [row._replace(interval=ends.get(row.name)) for row in present]
  figure = figure5.draw(present, absent, TITLES, "val", "mean of 4 seeds")
  assert "mean of 4 seeds" in "\n".join(texts_of(figure)).splitlines()
  axes = figure.axes[0]
  segments = axes.containers[0].lines[2][0].get_segments()
  assert [segment[:, 0].tolist() for segment in segments] == [
    pytest.approx(row.interval or (row.gain, row.gain)) for row in present
  ]
  label = axes.texts[[row.name for row in present].index("road")].get_window_extent()
  assert label.x0 > axes.transData.transform((40.0, 0))[0]
  plain = figure5.draw([row._replace(interval=None) for row in present], absent, TITLES, "val")
  assert [type(container) for container in plain.axes[0].containers] == [BarContainer]


def config(**fields):
  made = tiny_config()
  with made.unlocked():
    made.update(fields)
  return made


def test_titles():
  alpha = "\N{GREEK SMALL LETTER ALPHA}"
  assert pool_title(config(pool="avg")) == "average pooling"
  assert pool_title(config(pool="ppool")) == "P-pooling"
  assert pool_title(config(pool="ppool", pool_kwargs={"alpha": 2.0})) == f"P-pooling, {alpha} = 2"
  assert (
    pool_title(config(pool="ppool", pool_kwargs={"alpha": "log_side_branch"})) == "P-pooling, log side branch"
  )
  named = config(
    pool="ppool", pool_kwargs={"alpha": ("channel", {"initial": 2.5})}, pool_stages=("pool3", "pool4")
  )
  assert pool_title(named) == f"P-pooling, {alpha} per channel, initial = 2.5, in pool3, pool4"
  workdirs = [pathlib.Path(name) for name in ("runs/a/max", "runs/b/max")]
  assert distinct_titles([config(), config(pool="dpp")], workdirs, (3, 3)) == ["max pooling", "DPP"]
  twice = distinct_titles([config(), config()], workdirs, (3, 3))
  assert twice == ["max pooling (a/max)", "max pooling (b/max)"]
  swept = [pathlib.Path(name) for name in ("runs/max/seed-0", "runs/ppool/seed-0")]
  assert distinct_titles([config(), config(pool="ppool")], swept, (3, 3)) == ["max pooling", "P-pooling"]
  steps = distinct_titles([config(), config()], swept[:1] * 2, (2, 3))
  assert steps == ["max pooling (step 2)", "max pooling (step 3)"]


def test_names_of_workdirs():
  def names(*paths):
    return workdir_names([pathlib.Path(path) for path in paths])

  assert names("runs/max", "runs/ppool") == ["max", "ppool"]
  assert names("runs/max/seed-0", "runs/ppool/seed-0") == ["max/seed-0", "ppool/seed-0"]
  assert names("a/max/seed-0", "a/max/seed-1", "b/max/seed-0") == [
    "a/max/seed-0",
    "a/max/seed-1",
    "b/max/seed-0",
  ]
  assert names("/seed-0", "/a/seed-0") == ["/seed-0", "a/seed-0"]
  assert names(".") == [pathlib.Path.cwd().name]
  assert names("runs/max", "runs/../runs/max", "runs/avg") == ["max", "max", "avg"]


def test_a_box_of_an_image():
  assert Box(1, 2, 2, 3).crop(np.arange(20).reshape(4, 5)).tolist() == [[7, 8, 9], [12, 13, 14]]
