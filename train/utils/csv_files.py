"""CSV files."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Iterable, Sequence


def write_csv(path: pathlib.Path, header: Sequence, rows: Iterable[Sequence]) -> None:
  """Writes a header and rows; None becomes an empty cell."""
  with path.open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(header)
    writer.writerows(rows)
