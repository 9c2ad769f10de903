"""Metrics to JSON lines and TensorBoard."""

from __future__ import annotations

import itertools
import json
import logging
import math
import pathlib

from tensorboardX import SummaryWriter

_LOG = logging.getLogger("train")


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
    """Appends the values of `step` that are finite: JSON has no others.

    Raises:
      OSError: it cannot be written; the file is named.
    """
    values = {name: value for name, value in values.items() if math.isfinite(value)}
    try:
      self._file.write(json.dumps({"step": step, **values}) + "\n")
      self._file.flush()
    except OSError as error:
      raise OSError(f"{self._path} cannot be written: {error}") from error
    for name, value in values.items():
      self._board.add_scalar(name, value, step)

  def close(self) -> None:
    self._file.close()
    self._board.close()


def keep_log(workdir: pathlib.Path) -> None:
  """Before a run begins anew: what is logged of steps whose checkpoints are gone is moved aside, and told."""
  last = max((line["step"] for line in read_metrics(workdir)), default=0)
  if not last:
    return
  names = (workdir / f"metrics-before-{number}.jsonl" for number in itertools.count(1))
  kept = next(path for path in names if not path.exists())
  (workdir / "metrics.jsonl").rename(kept)
  text = "NO GOOD CHECKPOINT in %s, whose log reaches step %d: BEGINNING ANEW; that log is kept as %s"
  _LOG.warning(text, workdir, last, kept.name)


def read_metrics(workdir: pathlib.Path) -> list[dict]:
  """The lines of metrics.jsonl; those that are damaged, and one that a kill cut short, are left out."""
  path = pathlib.Path(workdir, "metrics.jsonl")
  lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
  whole = []
  for number, line in enumerate(lines, 1):
    try:
      found = json.loads(line)
      found["step"] + 0
    except (ValueError, TypeError, KeyError):
      if number < len(lines):
        _LOG.warning("%s: line %d is damaged and left out", path, number)
    else:
      whole.append(found)
  return whole
