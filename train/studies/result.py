"""The result of one run of a study, and its file."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

from train.utils.json_files import read_json, write_json

STATUSES = ("finished", "diverged")


class Result(NamedTuple):
  """One variant trained with one seed.

  Attributes:
    variant: its name in the study.
    status: "finished" or "diverged".
    step: steps done; of a diverged run the step at which the training stopped.
    scores: as `SegmentationEvaluator.compute` returns them; empty for a diverged run.
    seconds: of training.
    config: the resolved config.
    details: commit, versions, alpha statistics.
  """

  variant: str
  seed: int
  status: str
  step: int
  scores: dict
  seconds: float
  config: dict
  details: dict

  @property
  def finished(self) -> bool:
    return self.status == "finished"


class VariantInfo(NamedTuple):
  """What a report needs to know of a variant.

  Attributes:
    name: a short word, as in commands and file names.
    title: for readers.
    baseline: the name of the variant that it is compared with; None for a baseline.
  """

  name: str
  title: str
  baseline: str | None = None


def result_path(folder: pathlib.Path, variant: str, seed: int) -> pathlib.Path:
  """FOLDER/results/VARIANT/seed-N.json, where FOLDER is the study's."""
  return folder / "results" / variant / f"seed-{seed}.json"


def write_result(path: pathlib.Path, result: Result) -> None:
  """Writes the file atomically; missing folders are made.

  Raises:
    ValueError: an unknown status.
    OSError: it cannot be written.
  """
  _check_status(result.status, f"variant {result.variant!r}, seed {result.seed}")
  path.parent.mkdir(parents=True, exist_ok=True)
  write_json(path, result._asdict())


def read_results(folder: pathlib.Path) -> list[Result]:
  """All results of the study in `folder`, sorted by variant and seed; none if there is no such folder.

  Raises:
    ValueError: a file that holds no result, or that of another variant or seed than its path says.
  """
  found = []
  for path in folder.glob("results/*/seed-*.json"):
    found.append(result := read_result(path))
    if result_path(folder, result.variant, result.seed) != path:
      raise ValueError(f"{path}: expected its own result, got that of {result.variant!r}, seed {result.seed}")
  return sorted(found, key=lambda result: (result.variant, result.seed))


def read_result(path: pathlib.Path) -> Result:
  """The result in a file.

  Raises:
    ValueError: it holds none.
    OSError: it cannot be read.
  """
  try:
    return result_of(read_json(path), path)
  except ValueError as error:
    raise ValueError(f"{error}; delete the file, and its run is evaluated again") from None


def result_of(content: dict, path: pathlib.Path) -> Result:
  """The result that JSON holds.

  Args:
    path: of the file, for messages.

  Raises:
    ValueError: it is none.
  """
  differ = sorted(set(content) ^ set(Result._fields))
  if differ:
    raise ValueError(f"{path}: expected the fields {', '.join(Result._fields)}; {differ[0]!r} differs")
  result = Result(**content)
  _check_status(result.status, str(path))
  kinds = {"variant": str, "seed": int, "step": int, "scores": dict, "config": dict, "details": dict}
  for name, kind in kinds.items():
    if not isinstance(value := getattr(result, name), kind):
      raise ValueError(f"{path}: {name}: expected {kind.__name__}, got {value!r}")
  return result


def _check_status(status: str, where: str) -> None:
  if status not in STATUSES:
    raise ValueError(f"{where}: expected the status {' or '.join(STATUSES)}, got {status!r}")
