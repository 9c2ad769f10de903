"""python -m train.prepare NAME --source DIR: validates a data set and converts it to ArrayRecord."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Iterator

from ppool_jax.utils.files import local_path
from train.data.preparation.checks import check_counts, print_counts, validate_source
from train.data.preparation.samples import any_missing
from train.data.registry import PREPARED_DATASETS
from train.utils.errors import report_errors


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m train.prepare", description=__doc__)
  parser.add_argument("name", choices=PREPARED_DATASETS, help="the data set")
  parser.add_argument("--source", required=True, help="folder with the publisher's folders or archives")
  parser.add_argument("--dir", default="data", help="folder for prepared data sets (default: data)")
  parser.add_argument("--verify", action="store_true", help="validate every file and write nothing")
  parser.add_argument("--partial", action="store_true", help="accept an incomplete data set")
  arguments = parser.parse_args()
  with report_errors():
    try:
      if arguments.verify:
        verify(arguments.name, arguments.source, arguments.partial)
      else:
        prepare(arguments.name, arguments.source, arguments.dir, arguments.partial)
    except KeyboardInterrupt:
      sys.exit("interrupted; run the same command again to resume")


def prepare(name: str, source: str, directory: str, partial: bool = False) -> None:
  """Validates every file and writes ArrayRecord; a failure leaves no incomplete data set.

  After an interruption, the next call does not read the same files again.

  Args:
    source: folder of the files, in a layout that `train.data.datasets.NAME` describes.
    directory: the data set gets a folder in it.
    partial: whether fewer samples than were published are accepted.

  Raises:
    FileNotFoundError: the folder does not exist or has none of the layouts.
    ValueError: files are missing, unreadable or invalid (all are named), or the data set is already
      prepared from another source.
  """
  from train.data.preparation.builder import InvalidFileError  # TFDS takes seconds to import

  builder_class, index = _scan(name, source)
  expected = {} if partial else builder_class.expected_counts(index)
  if index.problems or check_counts(index, expected) or any_missing(index.samples):
    validate_source(index, source, builder_class.IMAGE_SIZE, expected)
  builder = builder_class(index=index, data_dir=local_path(directory))
  if builder.info.splits:
    _check_same_source(builder, index, source)
    print(f"{name} is already prepared from these files in {builder.data_dir}")
  else:
    try:
      _write(builder)
    except InvalidFileError:
      validate_source(index, source, builder_class.IMAGE_SIZE, expected)  # names all invalid files
      raise
    print(f"{name} is in {builder.data_dir}")
  print_counts(index, builder_class.COUNTS)


def verify(name: str, source: str, partial: bool = False) -> None:
  """Validates as `prepare` does, but writes nothing."""
  builder_class, index = _scan(name, source)
  expected = {} if partial else builder_class.expected_counts(index)
  validate_source(index, source, builder_class.IMAGE_SIZE, expected)
  print(f"{name}: every file of {source} is valid")
  print_counts(index, builder_class.COUNTS)


def _scan(name: str, source: str):
  """The data set's builder class and the index of the source."""
  from train.data.preparation.builder import load_builder_class

  folder = local_path(source)
  if not folder.is_dir():
    raise FileNotFoundError(f"--source {folder}: no such folder")
  builder_class = load_builder_class(name)
  index = builder_class.scan(folder)
  if not index.samples and not index.problems:
    raise FileNotFoundError(f"{folder}: it contains no images of {name}")
  return builder_class, index


def _check_same_source(builder, index, source: str) -> None:
  counts = {split: info.num_examples for split, info in builder.info.splits.items()}
  expected = builder.metadata(index)
  same = expected | dict(builder.info.metadata) == expected
  if not same or counts != {split: len(samples) for split, samples in index.splits.items()}:
    raise ValueError(
      f"{builder.data_dir}: was prepared from other files than those in {source}; "
      "delete that folder to prepare it again"
    )


def _write(builder) -> None:
  import tensorflow_datasets as tfds

  tfds.disable_progress_bar()  # the builder shows its own
  home = pathlib.Path(builder.data_dir).parent
  with _lock(home), tempfile.TemporaryDirectory() as downloads:  # TFDS requires a download folder
    for leftover in home.glob("incomplete.*"):  # of a killed process
      shutil.rmtree(leftover)
    try:
      builder.download_and_prepare(download_dir=downloads)
    except Exception:
      builder.encode_cache.clear()
      raise
    builder.encode_cache.clear()  # not reached after KeyboardInterrupt: the next call uses the cache


@contextlib.contextmanager
def _lock(folder: pathlib.Path) -> Iterator[None]:
  """Locks `folder` against other processes that prepare it, and removes it at the end if it is empty."""
  folder.mkdir(parents=True, exist_ok=True)
  handle = os.open(folder, os.O_RDONLY)
  try:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    raise ValueError(f"{folder}: another process is preparing it; wait until it ends") from None
  try:
    yield
  finally:
    os.close(handle)
    if not any(folder.iterdir()):
      folder.rmdir()


if __name__ == "__main__":
  main()
