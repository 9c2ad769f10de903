"""Metrics to JSON lines and TensorBoard."""

from __future__ import annotations

import json
import math
import pathlib

from tensorboardX import SummaryWriter


class MetricLog:
  """WORKDIR/metrics.jsonl, one object a line, and event files for TensorBoard.

  Args:
    workdir: of the run.
    step: steps done; what an interrupted run logged after them is dropped, as it will come again.
  """

  def __init__(self, workdir: pathlib.Path, step: int):
    self._path = workdir / "metrics.jsonl"
    kept = [line for line in read_metrics(workdir) if line["step"] <= step]
    draft = self._path.with_suffix(".tmp")
    draft.write_text("".join(json.dumps(line) + "\n" for line in kept))
    draft.replace(self._path)
    self._file = self._path.open("a")
    self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1 if step else None)

  def write(self, step: int, values: dict[str, float]) -> None:
    """Appends the values of `step` that are finite: JSON has no others."""
    values = {name: value for name, value in values.items() if math.isfinite(value)}
    self._file.write(json.dumps({"step": step, **values}) + "\n")
    self._file.flush()
    for name, value in values.items():
      self._board.add_scalar(name, value, step)

  def close(self) -> None:
    self._file.close()
    self._board.close()


def read_metrics(workdir: pathlib.Path) -> list[dict]:
  """The lines of metrics.jsonl; a last line that a kill cut short is left out."""
  path = pathlib.Path(workdir, "metrics.jsonl")
  lines = path.read_text().splitlines() if path.is_file() else []
  whole = []
  for number, line in enumerate(lines):
    try:
      whole.append(json.loads(line))
    except json.JSONDecodeError:
      if number < len(lines) - 1:
        raise
  return whole
