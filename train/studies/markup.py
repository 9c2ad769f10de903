"""Formats tables of text as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"

_TEX = {character: rf"\{character}" for character in "&%$#_{}"} | {
  "\\": r"\textbackslash{}",
  "~": r"\textasciitilde{}",
  "^": r"\textasciicircum{}",
  "<": "$<$",
  ">": "$>$",
  "\N{GREEK SMALL LETTER ALPHA}": r"$\alpha$",
  MINUS: "$-$",
  DASH: "--",
}


class Table(NamedTuple):
  """A table of text cells with rows as long as the header; **bold** as in Markdown."""

  header: list[str]
  rows: list[list[str]]

  def drop_columns(self, columns: Collection[str]) -> Table:
    """The table without the columns that have these headings."""
    kept = [index for index, heading in enumerate(self.header) if heading not in columns]
    header, *rows = ([line[index] for index in kept] for line in (self.header, *self.rows))
    return Table(header, rows)


def to_markdown(table: Table) -> str:
  """Formats the table in GitHub-flavored Markdown."""
  lines = [table.header, ["---"] * len(table.header), *table.rows]
  return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def to_latex(table: Table, caption: str) -> str:
  r"""Formats the table as a two-column LaTeX float, which needs \usepackage{booktabs}."""
  header, *body = (" & ".join(map(escape_latex, line)) + r" \\" for line in (table.header, *table.rows))
  lines = [
    r"\begin{table*}",
    r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
    rf"\caption{{{escape_latex(caption)}}}",
    rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
    *(r"\toprule", header, r"\midrule", *body, r"\bottomrule"),
    r"\end{tabular}",
    r"\end{table*}",
  ]
  return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
  """Escapes LaTeX's special characters and turns **bold** into \\textbf."""
  escaped = "".join(_TEX.get(character, character) for character in text)
  return re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", escaped)


def to_csv(header: Sequence[str], rows: Sequence[Sequence]) -> str:
  """Formats rows as comma-separated values; None becomes an empty cell."""
  stream = io.StringIO(newline="")
  writer = csv.writer(stream, lineterminator="\n")
  writer.writerows([header, *rows])
  return stream.getvalue()
