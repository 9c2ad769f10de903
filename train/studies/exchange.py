"""All results of a study in one small file, results.json, and taking such files over from elsewhere."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from train.studies.definition import Study
from train.studies.folder import check_results
from train.studies.result import Result, read_results, result_of, result_path, write_result
from train.utils.config import unknown_name_message
from train.utils.json_files import read_json, write_json

_FIELDS = {"study", "configs", "results"}


def write_results_file(study: str, results: Sequence[Result], path: pathlib.Path) -> None:
  """Writes the results of a study, the config of each variant once."""
  configs = {result.variant: {**result.config, "seed": None} for result in results}
  entries = [{key: value for key, value in r._asdict().items() if key != "config"} for r in results]
  write_json(path, {"study": study, "configs": configs, "results": entries})


def merge_results(paths: Sequence[pathlib.Path], study: Study, folder: pathlib.Path) -> int:
  """Takes over the results of other folders, or results.json files, of the same study.

  A run that has a result in `folder` keeps it.

  Args:
    paths: folders of the study, or files that `write_results_file` wrote.
    folder: of the study.

  Returns:
    How many results are new.

  Raises:
    FileNotFoundError: no such folder or file.
    ValueError: of another study, of a variant that the study does not have or whose config differs, or no
      such file. Nothing is taken over then.
  """
  found = {(result.variant, result.seed): result for path in paths for result in _read(path, study)}
  paths_of = {run: result_path(folder, *run) for run in found}
  new = {paths_of[run]: result for run, result in found.items() if not paths_of[run].exists()}
  check_results(study, list(new.values()))
  for path, result in new.items():
    write_result(path, result)
  return len(new)


def _read(path: pathlib.Path, study: Study) -> list[Result]:
  content = read_json(path / "study.json" if path.is_dir() else path)
  if (other := content.get("study")) != study.name:
    raise ValueError(f"--merge: {path}: expected results of the study {study.name!r}, got those of {other!r}")
  if path.is_dir():
    results = read_results(path)
  elif set(content) != _FIELDS:
    raise ValueError(f"--merge: {path}: expected the fields {', '.join(sorted(_FIELDS))}")
  else:
    configs = content["configs"]
    entries = [
      {**e, "config": {**configs.get(e.get("variant"), {}), "seed": e.get("seed")}}
      for e in content["results"]
    ]
    results = [result_of(entry, path) for entry in entries]
  names = [variant.name for variant in study.variants]
  for result in results:
    if result.variant not in names:
      raise ValueError(f"--merge: {path}: {unknown_name_message(result.variant, names, 'variant')}")
  return results
