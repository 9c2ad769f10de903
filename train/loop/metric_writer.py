"""Writes metrics to JSON lines and TensorBoard, and reads the lines back."""

from __future__ import annotations

import itertools
import json
import logging
import math
import pathlib
import sys

_LOG = logging.getLogger("train")


class MetricWriter:
  """Writes WORKDIR/metrics.jsonl, one object a line, and event files for TensorBoard.

  A process that could not write and raised at once would leave the others waiting. So `write` keeps its
  error in `error`; the loop tells the other processes by a control flag and then raises it in all.

  Args:
    workdir: of the run.
    step: steps done; lines of later steps, which an interrupted run logged, are dropped and written again.
  """

  def __init__(self, workdir: pathlib.Path, step: int):
    self._path = workdir / "metrics.jsonl"
    lines = [line for line in read_metrics(workdir) if line["step"] <= step]
    draft = self._path.with_suffix(".tmp")
    draft.write_text("".join(json.dumps(line) + "\n" for line in lines))
    draft.replace(self._path)
    self._file = self._path.open("a")
    board = _tensorboard().SummaryWriter
    self._board = board(str(workdir / "tensorboard"), purge_step=step + 1 if step else None)
    self.error: OSError | None = None

  def __enter__(self) -> MetricWriter:
    return self

  def __exit__(self, *exception) -> None:
    try:
      self._file.close()
    finally:  # on a full disk closing the file raises, too
      self._board.close()

  def write(self, step: int, values: dict[str, float]) -> None:
    """Appends the finite values of `step`: JSON has no others. An OSError is kept in `error`."""
    values = {name: value for name, value in values.items() if math.isfinite(value)}
    try:
      self._append(json.dumps({"step": step, **values}) + "\n")
      for name, value in values.items():
        self._board.add_scalar(name, value, step)
    except OSError as error:
      self.error = OSError(f"the log in {self._path.parent} cannot be written: {error}")

  def _append(self, line: str) -> None:
    self._file.write(line)
    self._file.flush()

  def raise_pending_error(self) -> None:
    """Raises the OSError that a write ended with, if one did."""
    if self.error:
      raise self.error


def set_log_aside(workdir: pathlib.Path) -> None:
  """Renames the log of a run that has no good checkpoint left and starts over, and says so."""
  last = max((line["step"] for line in read_metrics(workdir)), default=0)
  if not last:
    return
  names = (workdir / f"metrics-before-{number}.jsonl" for number in itertools.count(1))
  aside = next(path for path in names if not path.exists())
  (workdir / "metrics.jsonl").rename(aside)
  text = "NO GOOD CHECKPOINT in %s, whose log reaches step %d: STARTING OVER; that log is kept as %s"
  _LOG.warning(text, workdir, last, aside.name)


def read_metrics(workdir: pathlib.Path) -> list[dict]:
  """The lines of metrics.jsonl; damaged lines, and one that a kill cut short, are left out."""
  path = pathlib.Path(workdir, "metrics.jsonl")
  texts = path.read_text(errors="replace").splitlines() if path.is_file() else []
  lines = []
  for number, text in enumerate(texts, 1):
    try:
      line = json.loads(text)
      _ = line["step"] + 0
    except (ValueError, TypeError, KeyError):
      if number < len(texts):
        _LOG.warning("%s: line %d is damaged and left out", path, number)
    else:
      lines.append(line)
  return lines


def _tensorboard():
  """tensorboardX, imported without PyTorch: it loads that where it is installed, which takes a second."""
  hidden = "torch" not in sys.modules
  if hidden:
    # Makes `import torch` an ImportError, which tensorboardX expects.
    sys.modules["torch"] = None  # pyright: ignore[reportArgumentType]
  try:
    import tensorboardX
  finally:
    if hidden:
      del sys.modules["torch"]
  return tensorboardX
