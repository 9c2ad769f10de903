"""What alpha does in a trained network, over a data set: numbers, figures and the paper's Figure 6.

python -m train.analyze --workdir RUN [--split val] [--step 400] [--out DIR] [--images 100]
"""

from __future__ import annotations

import argparse
import pathlib

from train.analysis.collect import Analysis, analyze_run
from train.analysis.files import print_units, write_analysis
from train.utils.errors import report_errors


def main() -> None:
  arguments = parse()
  with report_errors():
    analyze(**arguments)


def parse(command: list[str] | None = None) -> dict:
  """The arguments of `analyze`.

  Args:
    command: the words after the program's name; None: those that it was called with.
  """
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.analyze", description=__doc__, formatter_class=raw)
  parser.add_argument("--workdir", required=True, type=pathlib.Path, help="of the training")
  parser.add_argument("--split", help="of the run's data set (default: the evaluation split)")
  parser.add_argument("--step", type=int, help="checkpoint to use (default: the newest)")
  parser.add_argument("--out", type=pathlib.Path, help="folder for the results (default: WORKDIR/analysis)")
  parser.add_argument("--images", type=int, metavar="N", help="how many, evenly spaced (default: all)")
  return vars(parser.parse_args(command))


def analyze(
  workdir: pathlib.Path,
  split: str | None = None,
  step: int | None = None,
  out: pathlib.Path | None = None,
  images: int | None = None,
) -> Analysis:
  """Writes analysis.json, analysis.csv and the figures into `out`, and prints a table.

  Figures, as PNG and PDF: histograms, boundary (where the split has labels), sparsity, shift, figure6.

  Args:
    split: of the run's data set; None: its evaluation split.
    step: the checkpoint; None: the newest.
    out: a folder; None: WORKDIR/analysis.
    images: how many images, evenly spaced over the split; None: all.

  Raises:
    FileNotFoundError: no run there.
    ValueError: a run without P-pooling, no such checkpoint or split, `out` is a file, images < 1.
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
