"""Text in tables and figures: percentages, class names, and tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

DASH = "–"  # noqa: RUF001


def format_percent(share: float | None, digits: int) -> str:
  """The share in per cent with `digits` decimals; a dash for None."""
  return DASH if share is None else f"{100 * share:.{digits}f}"


def short_class_name(name: str) -> str:
  """The first of the synonyms that ADE20K lists as one class name."""
  return name.split(";")[0]


def print_table(header: Sequence[str], rows: Iterable[Sequence]) -> None:
  """Prints a table on the terminal."""
  from rich.console import Console
  from rich.table import Table

  table = Table(*header)
  for row in rows:
    table.add_row(*map(str, row))
  Console().print(table)
