"""Reads class tables from CSV files, the format in which users describe the classes of their own data."""

from __future__ import annotations

import csv
import pathlib

from train.data.classes import IGNORE, ClassTable, LabelClass

_COLUMNS = ("name", "raw_id", "train_id", "r", "g", "b")
_HEADER = f"{','.join(_COLUMNS)}[,thin]"


def read_classes(path: pathlib.Path) -> ClassTable:
  """Reads a class table from a CSV file with the columns name, raw_id, train_id, r, g, b and optionally thin.

  raw_id is the value in the label files, 0..255; train_id is 0..K-1 or "ignore"; thin is 0 or 1.

  Raises:
    FileNotFoundError: the file does not exist.
    ValueError: a column is missing or a row is invalid; the message names the file and the line.
  """
  if not path.is_file():
    raise FileNotFoundError(f"{path}: no such file; it must list the classes: {_HEADER}")
  with path.open(newline="", encoding="utf-8-sig") as file:
    lines = csv.DictReader(file, skipinitialspace=True)
    absent = [column for column in _COLUMNS if column not in (lines.fieldnames or ())]
    if absent:
      raise ValueError(f"{path}:1: expected the columns {_HEADER}, got no {absent[0]}")
    rows = [_parse_row(line, f"{path}:{lines.line_num}") for line in lines]
  try:
    return _build_table(rows)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


def _parse_row(line: dict[str, str], location: str) -> LabelClass:
  try:
    train_id = IGNORE if line["train_id"].strip() == "ignore" else _parse_int(line["train_id"], IGNORE)
    red, green, blue = (_parse_int(line[channel], 256) for channel in "rgb")
    thin = bool(_parse_int(line.get("thin") or "0", 2))
    return LabelClass(
      line["name"].strip(), _parse_int(line["raw_id"], 256), train_id, (red, green, blue), thin
    )
  except (ValueError, AttributeError) as error:
    raise ValueError(f"{location}: {error}; expected {_HEADER}") from error


def _parse_int(text: str, end: int) -> int:
  if not text.strip().isdecimal() or int(text) >= end:
    raise ValueError(f"expected an integer in 0..{end - 1}, got {text!r}")
  return int(text)


def _build_table(rows: list[LabelClass]) -> ClassTable:
  """Builds the table; names must be unique because results are stored by class name."""
  table = ClassTable(rows)
  if table.num_classes < 2:
    raise ValueError(f"expected two classes or more, got {table.num_classes}")
  repeated = [name for name in table.names if table.names.count(name) > 1]
  if repeated:
    raise ValueError(f"expected unique class names, got {repeated[0]!r} twice")
  return table
