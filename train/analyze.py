"""Analyzes alpha of a trained network over a data set: statistics, figures and the paper's Figure 6.

python -m train.analyze --workdir RUN [--split val] [--step 400] [--out DIR] [--images 100]
"""

from __future__ import annotations

import argparse
import pathlib

from ppool_jax.utils.arguments import parse_path
from train.analysis.collect import Analysis, analyze_run
from train.analysis.files import print_units, write_analysis
from train.utils.errors import report_errors


def main() -> None:
  arguments = parse()
  with report_errors():
    analyze(**arguments)


def parse(command: list[str] | None = None) -> dict:
  """Parses the command line into the arguments of `analyze`.

  Args:
    command: the words after the program's name; None: those of this process.
  """
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.analyze", description=__doc__, formatter_class=raw)
  parser.add_argument("--workdir", required=True, type=parse_path, help="workdir of the training")
  parser.add_argument("--split", help="split of the run's data set (default: the evaluation split)")
  parser.add_argument("--step", type=int, help="step of the checkpoint (default: the newest)")
  parser.add_argument("--out", type=parse_path, help="output folder (default: WORKDIR/analysis)")
  parser.add_argument(
    "--images", type=int, metavar="N", help="number of images, evenly spaced (default: all)"
  )
  return vars(parser.parse_args(command))


def analyze(
  workdir: pathlib.Path,
  split: str | None = None,
  step: int | None = None,
  out: pathlib.Path | None = None,
  images: int | None = None,
) -> Analysis:
  """Analyzes a run, writes analysis.json, analysis.csv and the figures, and prints a table.

  The figures are histograms, boundary (if the split has labels), sparsity, shift and figure6, as PNG and PDF.

  Args:
    workdir: workdir of the training.
    split: split of the run's data set; None: its evaluation split.
    step: step of the checkpoint; None: the newest.
    out: output folder; None: WORKDIR/analysis.
    images: number of images, evenly spaced over the split; None: all.

  Raises:
    FileNotFoundError: there is no run.
    ValueError: the run has no P-pooling, the checkpoint or split does not exist, `out` is a file, or
      images < 1.
  """
  out = pathlib.Path(out or pathlib.Path(workdir, "analysis"))
  if out.exists() and not out.is_dir():
    raise ValueError(f"--out: expected a folder, got the file {out}")
  if images is not None and images < 1:
    raise ValueError(f"--images: expected at least 1, got {images}")
  analysis = analyze_run(workdir, split, step, images)
  out.mkdir(parents=True, exist_ok=True)
  write_analysis(analysis, out)
  print_units(analysis)
  print(f"{analysis.about['images']} images: {out / 'analysis.json'}, analysis.csv and figures")
  return analysis


if __name__ == "__main__":
  main()
