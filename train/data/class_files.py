"""Tables of classes in CSV files: one line a raw id, so that a user writes one without Python."""

from __future__ import annotations

import csv
import pathlib

from train.data.classes import IGNORE, ClassTable, LabelClass

_COLUMNS = ("name", "raw_id", "train_id", "r", "g", "b")


def read_classes(path: pathlib.Path) -> ClassTable:
  """The table in a CSV file with the columns name, raw_id, train_id, r, g, b, and thin if it has one.

  raw_id is the value in the label files, 0..255; train_id 0..K-1 or "ignore"; thin 0 or 1.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a column that is missing, or a line that is no class; the file and the line are named.
  """
  if not path.is_file():
    raise FileNotFoundError(f"{path}: no such file; it lists the classes: {','.join(_COLUMNS)}[,thin]")
  with path.open(newline="", encoding="utf-8-sig") as file:
    lines = csv.DictReader(file, skipinitialspace=True)
    absent = [column for column in _COLUMNS if column not in (lines.fieldnames or ())]
    if absent:
      raise ValueError(f"{path}:1: expected the columns {','.join(_COLUMNS)}[,thin], got no {absent[0]}")
    rows = [_row(line, f"{path}:{lines.line_num}") for line in lines]
  try:
    return _table(rows)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


def _row(line: dict[str, str], where: str) -> LabelClass:
  try:
    train_id = IGNORE if line["train_id"].strip() == "ignore" else _number(line["train_id"], IGNORE)
    colour = tuple(_number(line[channel], 256) for channel in "rgb")
    thin = bool(_number(line.get("thin") or "0", 2))
    return LabelClass(line["name"].strip(), _number(line["raw_id"], 256), train_id, colour, thin)
  except (ValueError, AttributeError) as error:
    raise ValueError(f"{where}: {error}; expected {','.join(_COLUMNS)}[,thin]") from error


def _number(text: str, end: int) -> int:
  if not text.strip().isdecimal() or int(text) >= end:
    raise ValueError(f"{text!r} is no number in 0..{end - 1}")
  return int(text)


def _table(rows: list[LabelClass]) -> ClassTable:
  """Results are kept by name, so that a name stands for one class."""
  table = ClassTable(rows)
  if table.num_classes < 2:
    raise ValueError(f"expected two classes or more, got {table.num_classes}")
  repeated = [name for name in table.names if table.names.count(name) > 1]
  if repeated:
    raise ValueError(f"the class {repeated[0]!r} stands twice")
  return table
