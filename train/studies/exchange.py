"""All results of a study in one small file, results.json, and taking such files over from elsewhere."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from train.studies.result import Result, read_results, result_path, write_result
from train.utils.json_files import read_json, write_json

_FIELDS = {"study", "configs", "results"}


def write_results_file(study: str, results: Sequence[Result], path: pathlib.Path) -> None:
  """Writes the results of a study, the config of each variant once."""
  configs = {result.variant: {**result.config, "seed": None} for result in results}
  entries = [{key: value for key, value in r._asdict().items() if key != "config"} for r in results]
  write_json(path, {"study": study, "configs": configs, "results": entries})


def merge_results(paths: Sequence[pathlib.Path], study: str, folder: pathlib.Path) -> int:
  """Takes over the results of other folders, or results.json files, of the same study.

  A run that has a result in `folder` keeps it.

  Args:
    paths: folders of the study, or files that `write_results_file` wrote.
    study: its name.
    folder: of the study.

  Returns:
    How many results are new.

  Raises:
    FileNotFoundError: no such folder or file.
    ValueError: of another study, or no such file.
  """
  new = [
    result
    for path in paths
    for result in _read(path, study)
    if not result_path(folder, result.variant, result.seed).exists()
  ]
  for result in new:
    write_result(result_path(folder, result.variant, result.seed), result)
  return len(new)


def _read(path: pathlib.Path, study: str) -> list[Result]:
  content = read_json(path / "study.json" if path.is_dir() else path)
  if (other := content.get("study")) != study:
    raise ValueError(f"--merge: {path}: expected results of the study {study!r}, got those of {other!r}")
  if path.is_dir():
    return read_results(path)
  if set(content) != _FIELDS:
    raise ValueError(f"--merge: {path}: expected the fields {', '.join(sorted(_FIELDS))}")
  configs = content["configs"]
  return [Result(**e, config={**configs[e["variant"]], "seed": e["seed"]}) for e in content["results"]]
