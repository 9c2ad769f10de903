"""Two result files of one benchmark side by side: what became slower, larger, or has gone.

  python -m benchmarks.compare BEFORE.json AFTER.json [--above 1.05]

Times of different machines, or of one at different loads, say little; ratios within a file do.
"""

from __future__ import annotations

import argparse
import json
import pathlib

from rich.console import Console
from rich.table import Table

from train.errors import report_errors


def main() -> None:
  raw = argparse.RawTextHelpFormatter
  parser = argparse.ArgumentParser("python -m benchmarks.compare", description=__doc__, formatter_class=raw)
  parser.add_argument("before", type=pathlib.Path)
  parser.add_argument("after", type=pathlib.Path)
  parser.add_argument("--above", type=float, default=1.0, help="only figures that changed by this factor")
  arguments = parser.parse_args()
  with report_errors():
    before, after = (json.loads(path.read_text()) for path in (arguments.before, arguments.after))
    print_comparison(before, after, arguments.above)


def print_comparison(before: dict, after: dict, above: float) -> None:
  """Prints what differs of the machines, then every figure with its change."""
  for name, (old, new) in _both(before.get("machine", {}), after.get("machine", {})).items():
    if old != new:
      print(f"machine.{name}: {old} before, {new} after")
  table = Table("figure", "before", "after", "after / before")
  for name, old, new, change in compare(before, after):
    if change is None or max(change, 1 / change if change else float("inf")) >= above:
      table.add_row(name, *(_text(x) for x in (old, new)), "" if change is None else f"{change:.3f}")
  Console().print(table)


def compare(before: dict, after: dict) -> list[tuple[str, float | None, float | None, float | None]]:
  """(name, before, after, ratio) of every number in either file; None is what is missing.

  The machine is left out.
  """
  flat = [
    figures({key: value for key, value in report.items() if key != "machine"}) for report in (before, after)
  ]
  rows = []
  for name, (old, new) in _both(*flat).items():
    rows.append((name, old, new, new / old if old and new is not None else None))
  return rows


def figures(tree, prefix: str = "") -> dict[str, float]:
  """The numbers of a tree by their paths, "steps.vgg16 max float32.ms".

  A row of a list goes by what it is of, "rows.vgg16 max 8.memory": files may differ in their rows and order.
  """
  if isinstance(tree, int | float) and not isinstance(tree, bool):
    return {prefix: tree}
  found = {}
  for key, value in _items(tree):
    found |= figures(value, f"{prefix}.{key}" if prefix else str(key))
  return found


IDENTITY = ("name", "network", "pool", "devices", "shape")
"""What tells the rows of a list apart, in the files of all benchmarks."""


def _items(tree):
  if isinstance(tree, dict):
    return tree.items()
  return (
    [(_row_name(row) or number, row) for number, row in enumerate(tree)] if isinstance(tree, list) else ()
  )


def _row_name(row) -> str:
  return " ".join(str(row[key]) for key in IDENTITY if key in row) if isinstance(row, dict) else ""


def _both(old: dict, new: dict) -> dict:
  return {key: (old.get(key), new.get(key)) for key in {**old, **new}}


def _text(value: float | None) -> str:
  return "missing" if value is None else f"{value:,.4g}"


if __name__ == "__main__":
  main()
