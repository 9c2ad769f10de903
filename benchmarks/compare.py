"""Compares two result files of one benchmark: which figures changed or are missing.

  python -m benchmarks.compare BEFORE.json AFTER.json [--above 1.05]

Times from different machines or loads are not comparable; ratios within a file are.
"""

from __future__ import annotations

import argparse
import collections

from rich.console import Console
from rich.table import Table

from benchmarks import arguments
from ppool_jax.utils.arguments import parse_path
from train.utils.errors import report_errors
from train.utils.json_files import read_json


def main() -> None:
  parser = arguments.parser("compare", __doc__)
  parser.add_argument("before", type=parse_path)
  parser.add_argument("after", type=parse_path)
  parser.add_argument(
    "--above", type=_parse_factor, default=1.0, help="print only figures that changed by this factor"
  )
  args = parser.parse_args()
  print_comparison(read_json(args.before), read_json(args.after), args.above)


def _parse_factor(text: str) -> float:
  try:
    if (factor := float(text)) >= 1:
      return factor
  except ValueError:
    pass
  raise argparse.ArgumentTypeError(f"expected a factor of at least 1, got {text!r}")


def print_comparison(before: dict, after: dict, above: float) -> None:
  """Prints the other differences, then every figure that changed by at least the factor `above`.

  A figure whose change is no factor is always printed: from or to zero, of another sign, NaN, or missing.
  """
  for line in differences(before, after):
    print(line)
  table = Table()
  for column in ("figure", "before", "after", "after / before"):
    table.add_column(column, overflow="fold")
  for name, old, new, change in compare(before, after):
    small = change is not None and change > 0 and max(change, 1 / change) < above
    if not small:
      table.add_row(name, *map(_format, (old, new)), "" if change is None else f"{change:.3f}")
  Console().print(table)


def compare(before: dict, after: dict) -> list[tuple[str, float | None, float | None, float | None]]:
  """(name, before, after, ratio) of every figure in either file; None if missing or without a ratio."""
  return [(name, old, new, _ratio(old, new)) for name, (old, new) in _both(figures, before, after).items()]


def _ratio(old: float | None, new: float | None) -> float | None:
  if old == new:
    return 1.0
  return new / old if old and new is not None else None


def differences(before: dict, after: dict) -> list[str]:
  """A line per text or field of the machine's description that differs; equal changes of rows share a line.

  Rows that are in one file only are left to the table.
  """
  rows = [{name.rpartition(".")[0] for name in _leaves(tree)} for tree in (before, after)]
  changes = collections.defaultdict(list)
  for name, (old, new) in _both(facts, before, after).items():
    row, _, field = name.rpartition(".")
    of_machine = row.endswith("machine")
    if old != new and (of_machine or all(row in names for names in rows)):
      change = ", ".join(f"{_format(x)} {when}" for x, when in ((old, "before"), (new, "after")))
      changes["machine." * of_machine + field, change].append(name)
  return [
    f"{names[0] if len(names) == 1 else f'{field} of {len(names)} rows'}: {change}"
    for (field, change), names in changes.items()
  ]


def figures(tree: dict) -> dict[str, float]:
  """The numbers of a tree by path, such as "steps.vgg16 max float32.ms", without the machine's description.

  A row of a list, or a plan, is named by its `IDENTITY`, as in "rows.vgg16 max 8.memory": the order of rows
  may differ between files, and the key of a plan depends on the code.
  """
  return {name: leaf for name, leaf in _leaves(tree).items() if _is_figure(name, leaf)}


def facts(tree: dict) -> dict:
  """The other leaves by path."""
  return {name: leaf for name, leaf in _leaves(tree).items() if not _is_figure(name, leaf)}


def _is_figure(name: str, leaf) -> bool:
  return _is_number(leaf) and "machine" not in name.split(".")


def _is_number(leaf) -> bool:
  return isinstance(leaf, int | float) and not isinstance(leaf, bool)


def _leaves(tree, prefix: str = "") -> dict:
  if not isinstance(tree, dict | list):
    return {prefix: tree}
  leaves = {}
  for key, value in _items(tree):
    leaves |= _leaves(value, f"{prefix}.{key}" if prefix else key)
  return leaves


IDENTITY = ("name", "network", "pool", "dtype", "topology", "batch", "batch_per_chip", "devices", "shape")
"""Fields that identify a row, in the files of all benchmarks."""


def _items(tree):
  """(name, value) of a dict or list; equal names of rows are numbered, so that no row is lost."""
  listed, seen = isinstance(tree, list), collections.Counter()
  for key, row in enumerate(tree) if listed else tree.items():
    # The key of a plan is a digest.
    plan = isinstance(row, dict) and {"network", "topology"} <= row.keys()
    name = (_row_name(row) if listed or plan else "") or str(key)
    seen[name] += 1
    yield name if seen[name] == 1 else f"{name} ({seen[name]})", row


def _row_name(row) -> str:
  return " ".join(str(row[key]) for key in IDENTITY if key in row) if isinstance(row, dict) else ""


def _both(part, before: dict, after: dict) -> dict:
  """name -> (before, after) of `part` of both files."""
  old, new = part(before), part(after)
  return {name: (old.get(name), new.get(name)) for name in {**old, **new}}


def _format(value) -> str:
  if value is None:
    return "missing"
  return f"{value:,.4g}" if _is_number(value) else str(value)


if __name__ == "__main__":
  with report_errors():
    main()
