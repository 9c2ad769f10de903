"""Builds the report's section on alpha: saturated units, and the paper's Figure 6 for one image."""

from __future__ import annotations

import html
import pathlib

from train.analysis.alpha_maps import draw_channel_means, draw_maps
from train.analysis.picture import AlphaExtractor
from train.analysis.units import find_units
from train.experiment.experiment import open_split
from train.experiment.run import Run
from train.loop.metric_writer import read_metrics
from train.step.saturation import describe_saturation
from train.visualization.html import embed_figure


def build_alpha_section(runs: dict[str, Run], workdirs: dict[str, pathlib.Path]) -> str:
  """Builds the section of the runs with P-pooling, as HTML.

  Args:
    runs, workdirs: by the run's name; a run without P-pooling needs no workdir.
  """
  parts = []
  for name, run in runs.items():
    if not find_units(run.experiment):
      continue
    source = run.config.alpha.get("name", "")
    for sentence in describe_saturation(read_metrics(workdirs[name]), run.variables["params"], source):
      parts.append(f"<p>{html.escape(f'{name}: {sentence}.')}</p>")
    image = open_split(run.config, run.config.data.eval_split)[0]["image"]
    picture = AlphaExtractor(run.experiment, run.variables, run.config.seed)(image)
    parts.append(embed_figure(draw_channel_means(picture), f"{name}: mean alpha against channel"))
    parts += [embed_figure(draw_maps(picture, unit), f"{name}: alpha of {unit}") for unit in picture.units]
  return "".join(parts) or "<p>No run has P-pooling.</p>"
