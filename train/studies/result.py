"""Defines the result of one run of a study, and reads and writes its file."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

from train.utils.json_files import read_json, write_json

STATUSES = ("finished", "diverged")


class Result(NamedTuple):
  """The result of one variant with one seed.

  Attributes:
    variant: name of the variant.
    seed: the seed.
    status: "finished" or "diverged".
    step: number of training steps; for a diverged run, the step at which it stopped.
    scores: as `SegmentationEvaluator.compute` returns them; empty for a diverged run.
    seconds: training time.
    config: the resolved config.
    details: provenance: commit, versions, alpha statistics.
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
  """The description of a variant in a report.

  Attributes:
    name: short name, as in commands and file names.
    title: name in tables and figures.
    baseline: name of the variant that it is compared with; None for a baseline.
  """

  name: str
  title: str
  baseline: str | None = None


def result_path(folder: pathlib.Path, variant: str, seed: int) -> pathlib.Path:
  """The path of a result: FOLDER/results/VARIANT/seed-N.json, where FOLDER is the study's folder."""
  return folder / "results" / variant / f"seed-{seed}.json"


def write_result(path: pathlib.Path, result: Result) -> None:
  """Writes a result atomically and creates missing folders.

  Raises:
    ValueError: the status is unknown.
    OSError: the file cannot be written.
  """
  _check_status(result.status, f"variant {result.variant!r}, seed {result.seed}")
  path.parent.mkdir(parents=True, exist_ok=True)
  write_json(path, result._asdict())


def read_results(folder: pathlib.Path) -> list[Result]:
  """Reads all results in the study's folder, sorted by variant and seed; empty without such a folder.

  Raises:
    ValueError: a file contains no result, or the result of another variant or seed than its path says.
  """
  results = []
  for path in folder.glob("results/*/seed-*.json"):
    results.append(result := read_result(path))
    if result_path(folder, result.variant, result.seed) != path:
      raise ValueError(f"{path}: expected its own result, got that of {result.variant!r}, seed {result.seed}")
  return sorted(results, key=lambda result: (result.variant, result.seed))


def read_result(path: pathlib.Path) -> Result:
  """Reads a result from its file.

  Raises:
    ValueError: the file contains no result.
    OSError: the file cannot be read.
  """
  try:
    return parse_result(read_json(path), path)
  except ValueError as error:
    raise ValueError(f"{error}; delete the file to evaluate its run again") from None


def parse_result(content: dict, path: pathlib.Path) -> Result:
  """Parses a result from the content of a JSON file.

  Args:
    content: the parsed JSON.
    path: path of the file, for error messages.

  Raises:
    ValueError: the content is not a result.
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
