"""Writes all results of a study into results.json, and merges such files into another folder."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from train.studies.definition import Study
from train.studies.folder import check_results
from train.studies.result import Result, parse_result, read_results, result_path, write_result
from train.utils.config import unknown_name_message
from train.utils.json_files import read_json, write_json

_FIELDS = {"study", "configs", "results"}


def write_results_file(study: str, results: Sequence[Result], path: pathlib.Path) -> None:
  """Writes the results of a study into one file, with the config of each variant once."""
  configs = {result.variant: {**result.config, "seed": None} for result in results}
  entries = [{key: value for key, value in r._asdict().items() if key != "config"} for r in results]
  write_json(path, {"study": study, "configs": configs, "results": entries})


def merge_results(paths: Sequence[pathlib.Path], study: Study, folder: pathlib.Path) -> int:
  """Copies the results from other folders or results.json files of the same study.

  Existing results in `folder` are kept.

  Args:
    paths: folders of the study, or files written by `write_results_file`.
    study: the study.
    folder: folder of the study to copy to.

  Returns:
    The number of new results.

  Raises:
    FileNotFoundError: a folder or file does not exist.
    ValueError: a file has another form, belongs to another study, or has a result of an unknown variant or
      another config. No result is copied then.
  """
  results = {(result.variant, result.seed): result for path in paths for result in _read(path, study)}
  target = {run: result_path(folder, *run) for run in results}
  new = {target[run]: result for run, result in results.items() if not target[run].exists()}
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
    results = [parse_result(entry, path) for entry in entries]
  names = [variant.name for variant in study.variants]
  for result in results:
    if result.variant not in names:
      raise ValueError(f"--merge: {path}: {unknown_name_message(result.variant, names, 'variant')}")
  return results
