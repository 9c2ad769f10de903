"""Figures 4 and 5 of the paper, drawn from arrays."""

import itertools

import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.text import Text

from tests.helpers.evaluation import CLASS_TABLE
from train.comparison import figure4, figure5
from train.comparison.examples import Example
from train.comparison.gains import class_gains
from train.data.classes import IGNORE
from train.data.registry import get_dataset
from train.visualization.colorize import colorize

TITLES = ("max pooling", "P-pooling, log side branch, initial = 3, in pool1, pool2, pool3")


def texts_of(figure):
  """All texts; asserts that nothing is drawn outside the figure."""
  figure.draw_without_rendering()
  drawn, inches = figure.get_tightbbox(), figure.get_size_inches()
  assert min(drawn.x0, drawn.y0) > -0.02  # inches: the width of a box's line
  assert (np.array([drawn.x1, drawn.y1]) < inches + 0.02).all()
  return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_figure_4_shows_the_panels():
  """Portrait and landscape images, 150 classes in the legend, a long heading: nothing is cut off."""
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
  table = CLASS_TABLE if classes == 4 else get_dataset("ade20k").table
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
  """The number is outside the error bar; a class without an interval has no error bar."""
  first = np.diag([40, 50, 60, 70])
  second = first + np.array([[-9, 9, 0, 0], [0] * 4, [0, 5, -5, 0], [0] * 4])
  present, absent = class_gains(second, first, CLASS_TABLE)
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
