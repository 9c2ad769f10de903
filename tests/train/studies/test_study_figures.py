"""Figures of a study: positions of the dots, and no overlapping text."""

import itertools

import chex
import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Text

from tests.helpers.study_reports import MAX, PPOOL, THIN, diverged, finished, random_results
from train.studies.figures import draw_gains, draw_seeds
from train.studies.result import VariantInfo
from train.studies.summary_rows import summarize


def check_layout(figure):
  """Checks that no text exceeds the figure's edge and that labels of variants and axes do not overlap."""
  figure.draw_without_rendering()
  drawn, inches = figure.get_tightbbox(), figure.get_size_inches()
  assert min(drawn.x0, drawn.y0) > -0.02  # of an inch, as a box's line
  assert (np.array([drawn.x1, drawn.y1]) < inches + 0.02).all()
  for axes in figure.axes:
    low, high = axes.get_xlim()
    ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    numbers = [label.get_window_extent() for tick, label in ticks if low <= tick <= high]
    assert len(numbers) > 1
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(numbers))
  names = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
  assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(names))


def dots(axes, color):
  """(value, height) of all single points of a color, sorted."""
  lines = [line for line in axes.lines if line.get_color() == color and line.get_marker() == "."]
  return sorted(tuple(point) for line in lines for point in line.get_xydata())


@pytest.mark.parametrize(("count", "seeds"), [(12, 10), (2, 1), (1, 3)])
def test_every_seed_is_drawn_and_paired(count, seeds):
  variants = [MAX, *(VariantInfo(f"long_name_of_variant_{i}", "t", "max") for i in range(count - 1))]
  results = random_results(variants, seeds, {})
  if count == 12:
    results[-1] = diverged(variants[-1].name, 9, 312)
  rows = summarize(variants, results)
  figure = draw_seeds("Poolings", variants, results, rows)
  check_layout(figure)
  names = {variant.name: place for place, variant in enumerate(variants)}
  for axes, metric in zip(figure.axes, ("miou", "thin_iou", "boundary_iou"), strict=True):
    done = [r for r in results if r.status == "finished"]
    own = {(r.variant, r.seed): 100 * r.scores[metric] for r in done}
    chex.assert_trees_all_close(
      dots(axes, "#3e83c4"), sorted((value, names[name] + 0.02) for (name, _), value in own.items())
    )
    lines = [line.get_xydata().ravel().tolist() for line in axes.lines if line.get_color() == "0.78"]
    wanted = [
      [own["max", seed], names[name] - 0.25, value, names[name] + 0.02]
      for (name, seed), value in own.items()
      if name != "max"
    ]
    chex.assert_trees_all_close(sorted(lines), sorted(wanted))
    means = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    estimates = [row.estimate for row in rows if row.metric == metric]
    assert [c.lines[0].get_xdata()[0] for c in means] == [e.mean for e in estimates]
    if seeds > 1:
      ends = [c.lines[2][0].get_segments()[0][:, 0].tolist() for c in means]
      chex.assert_trees_all_close(ends, [[e.low, e.high] for e in estimates])
  texts = [text.get_text() for text in figure.findobj(Text)]
  assert ("long_name_of_variant_10\n1 of 10 diverged" in texts) == (count == 12)
  assert {"mIoU, per cent", "thin-class IoU, per cent", "Boundary IoU, per cent"} <= set(texts)


def test_figure_without_runs():
  figure = draw_seeds("Poolings", [MAX, PPOOL], [], [])
  figure.draw_without_rendering()
  assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["max", "ppool"]
  assert draw_gains(PPOOL, [MAX, PPOOL], [], [], THIN) is None


def test_gains_of_classes_with_intervals():
  results = random_results([MAX, PPOOL], 5, {"ppool": 0.02})
  results = [r for r in results if (r.variant, r.seed) != ("max", 0)]
  rows = summarize([MAX, PPOOL], results)
  figure = draw_gains(PPOOL, [MAX, PPOOL], results, rows, THIN)
  figure.draw_without_rendering()
  classes = [r for r in rows if (r.metric, r.variant) == ("per_class_iou", "ppool") and r.label != "Sky"]
  wanted = sorted((r.difference.estimate for r in classes), key=lambda estimate: -estimate.mean)
  chex.assert_trees_all_close([p.get_width() for p in figure.axes[0].patches], [e.mean for e in wanted])
  segments = figure.axes[0].containers[0].lines[2][0].get_segments()
  chex.assert_trees_all_close([s[:, 0].tolist() for s in segments], [[e.low, e.high] for e in wanted])
  texts = "\n".join(text.get_text() for text in figure.findobj(Text))
  assert "mean of 4 seeds, 95 % confidence interval\nnot in val: Sky" in texts
  assert "thin classes" in texts
  assert draw_gains(MAX, [MAX, PPOOL], results, rows, THIN) is None


def test_gains_of_one_seed_have_no_interval():
  results = [finished("max", 0, [0.5, 0.2, 0.3, None]), finished("ppool", 0, [0.7, 0.1, 0.3, None])]
  figure = draw_gains(PPOOL, [MAX, PPOOL], results, summarize([MAX, PPOOL], results), frozenset())
  figure.draw_without_rendering()
  assert not any(isinstance(c, ErrorbarContainer) for c in figure.axes[0].containers)
  chex.assert_trees_all_close([p.get_width() for p in figure.axes[0].patches], [20.0, 0.0, -10.0], atol=1e-9)
  assert "one seed\nnot in val: Sky" in "\n".join(text.get_text() for text in figure.findobj(Text))
