"""A table of text as Markdown, LaTeX or CSV."""

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
  """Cells of text, each row as long as the header; **bold** as in Markdown."""

  header: list[str]
  rows: list[list[str]]

  def without(self, columns: Collection[str]) -> Table:
    """The table without the columns of these headings."""
    kept = [place for place, heading in enumerate(self.header) if heading not in columns]
    header, *rows = ([line[place] for place in kept] for line in (self.header, *self.rows))
    return Table(header, rows)


def markdown(table: Table) -> str:
  """A table of GitHub's Markdown."""
  lines = [table.header, ["---"] * len(table.header), *table.rows]
  return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def latex(table: Table, caption: str) -> str:
  r"""A float over both columns of a page; the document needs \usepackage{booktabs}."""
  header, *body = (" & ".join(map(tex_text, line)) + r" \\" for line in (table.header, *table.rows))
  lines = [
    r"\begin{table*}",
    r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
    rf"\caption{{{tex_text(caption)}}}",
    rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
    *(r"\toprule", header, r"\midrule", *body, r"\bottomrule"),
    r"\end{tabular}",
    r"\end{table*}",
  ]
  return "\n".join(lines) + "\n"


def tex_text(text: str) -> str:
  """The text with LaTeX's special characters escaped, **bold** as a command."""
  escaped = "".join(_TEX.get(character, character) for character in text)
  return re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", escaped)


def csv_text(header: Sequence[str], rows: Sequence[Sequence]) -> str:
  """Comma-separated values; None becomes an empty cell."""
  stream = io.StringIO(newline="")
  writer = csv.writer(stream, lineterminator="\n")
  writer.writerows([header, *rows])
  return stream.getvalue()
