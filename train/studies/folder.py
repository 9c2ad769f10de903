"""Creates and checks the folder of a study, which holds the runs and results of one study only."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Sequence

import filelock

from train.checkpointing import workdir as workdirs
from train.studies.definition import Study
from train.studies.result import Result, read_results
from train.studies.runs import Run
from train.utils.json_files import read_json, write_json

_OWN_FILES = (".lock", "study.json")


@contextlib.contextmanager
def lock_folder(folder: pathlib.Path) -> Iterator[None]:
  """Creates the folder and locks it against other processes that check it or write its report."""
  folder.mkdir(parents=True, exist_ok=True)
  with filelock.FileLock(folder / ".lock"):
    yield


def open_folder(folder: pathlib.Path, study: Study, runs: Sequence[Run]) -> None:
  """Creates the study's folder, or checks an existing one. Several processes may call this at once.

  Raises:
    ValueError: as `check_folder`; nothing is created.
    OSError: the folder cannot be created or written.
  """
  check_folder(folder, study, runs)
  with lock_folder(folder):
    check_folder(folder, study, runs)
    if not (folder / "study.json").is_file():
      write_json(folder / "study.json", {"study": study.name})


def check_folder(folder: pathlib.Path, study: Study, runs: Sequence[Run]) -> None:
  """Checks that a folder belongs to this study or does not exist yet.

  Raises:
    ValueError: the folder belongs to another study, has other files, or has a run of a variant with another
      config.
  """
  path = folder / "study.json"
  if path.is_file():
    name = read_json(path).get("study")
    if name != study.name:
      raise ValueError(f"{folder} belongs to the study {name!r}, not to {study.name!r}")
  elif folder.exists() and any(
    file.name not in _OWN_FILES and file.suffix != ".part" for file in folder.iterdir()
  ):
    raise ValueError(f"{folder}: expected a new folder or a study's workdir, but it has other files")
  check_results(study, read_results(folder))
  for run in runs:
    if not run.done and (run.workdir / "config.json").is_file():
      _check_config(study, run.variant.name, run.seed, workdirs.read_config(run.workdir))


def check_results(study: Study, results: Sequence[Result]) -> None:
  """Checks that the results have the configs of the study's variants and the study's Boundary IoU band.

  Raises:
    ValueError: they differ; the message names the variant and the fields.
  """
  names = [variant.name for variant in study.variants]
  for result in results:
    if result.variant not in names:
      continue
    _check_config(study, result.variant, result.seed, result.config)
    ratio = result.scores.get("boundary_ratio", study.boundary)
    if result.finished and ratio != study.boundary:
      raise ValueError(
        f"variant {result.variant!r}, seed {result.seed}: its Boundary IoU has a band of {ratio}, the "
        f"study's is {study.boundary}: choose another --workdir"
      )


def _check_config(study: Study, name: str, seed: int, old: dict) -> None:
  variant = next(variant for variant in study.variants if variant.name == name)
  new = workdirs.to_json(study.resolve_config(variant, seed))
  changed = workdirs.describe_changes(old, new)
  # The path of the weights file may differ between machines, but its presence may not.
  files = [pathlib.PurePath(config["model"]["weights"]).name for config in (old, new)]
  if bool(files[0]) != bool(files[1]):
    changed.append(f"model.weights was {files[0]!r}, now {files[1]!r}")
  if changed:
    raise ValueError(
      f"variant {name!r}, seed {seed}: the run in this folder has another config ({'; '.join(changed)}): "
      f"choose another --workdir, rename the variant, or delete runs/{name} and results/{name}"
    )
