"""python -m train.prepare NAME --source DIR: a data set's own files to ArrayRecord, checked."""

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

from train.data.preparation.checks import check, print_counts, wrong_counts
from train.data.preparation.samples import missing
from train.data.registry import PREPARED
from train.utils.errors import report_errors


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m train.prepare", description=__doc__)
  parser.add_argument("name", choices=PREPARED, help="the data set")
  parser.add_argument("--source", required=True, help="folder with the publisher's folders or archives")
  parser.add_argument("--dir", default="data", help="where prepared data sets are kept (default: data)")
  parser.add_argument("--verify", action="store_true", help="check every file and write nothing")
  parser.add_argument("--partial", action="store_true", help="take a part of the data set as it is")
  arguments = parser.parse_args()
  try:
    with report_errors():
      if arguments.verify:
        verify(arguments.name, arguments.source, arguments.partial)
      else:
        prepare(arguments.name, arguments.source, arguments.dir, arguments.partial)
  except KeyboardInterrupt:
    sys.exit("interrupted; the same command goes on from there")


def prepare(name: str, source: str, directory: str, partial: bool = False) -> None:
  """Reads and checks every file, and writes ArrayRecord; a failure leaves nothing half-made.

  What was read before an interruption is not read again.

  Args:
    source: folder of the files, in a layout that `train.data.NAME` names.
    directory: where the data set gets a folder.
    partial: whether fewer files than were published will do.

  Raises:
    FileNotFoundError: no such folder, or none of the layouts in it.
    ValueError: files that are missing, unreadable or wrong, every one named; or another source than
      that which is prepared already.
  """
  from train.data.preparation.builder import WrongFile  # TFDS takes seconds to import

  kind, found = _find(name, source)
  published = {} if partial else kind.published(found)
  if found.problems or wrong_counts(found, published) or missing(found.pairs):
    check(found, source, kind.SIZE, published)
  builder = kind(found=found, data_dir=pathlib.Path(directory).expanduser())
  if builder.info.splits:
    _refuse_other(builder, found, source)
    print(f"{name} is already prepared from these files in {builder.data_dir}")
  else:
    try:
      _write(builder)
    except WrongFile:
      check(found, source, kind.SIZE, published)  # names all that are wrong
      raise
    print(f"{name} is in {builder.data_dir}")
  print_counts(found, kind.COUNTS)


def verify(name: str, source: str, partial: bool = False) -> None:
  """As `prepare`, but checks only, and writes nothing."""
  kind, found = _find(name, source)
  check(found, source, kind.SIZE, {} if partial else kind.published(found))
  print(f"{name}: every file of {source} is as it should be")
  print_counts(found, kind.COUNTS)


def _find(name: str, source: str):
  from train.data.preparation.builder import builder_class

  folder = pathlib.Path(source).expanduser()
  if not folder.is_dir():
    raise FileNotFoundError(f"--source {folder}: no such folder")
  kind = builder_class(name)
  found = kind.find(folder)
  if not found.pairs and not found.problems:
    raise FileNotFoundError(f"{folder}: there are no images of {name} in it")
  return kind, found


def _refuse_other(builder, found, source: str) -> None:
  counts = {split: info.num_examples for split, info in builder.info.splits.items()}
  expected = builder.metadata(found)
  same = expected | dict(builder.info.metadata) == expected
  if not same or counts != {split: len(pairs) for split, pairs in found.splits.items()}:
    raise ValueError(
      f"{builder.data_dir}: was prepared from other files than those in {source}; "
      "delete that folder to prepare it again"
    )


def _write(builder) -> None:
  import tensorflow_datasets as tfds

  tfds.disable_progress_bar()  # the builder shows its own
  home = pathlib.Path(builder.data_dir).parent
  with _alone(home), tempfile.TemporaryDirectory() as downloads:  # there are none, but TFDS wants a folder
    for left in home.glob("incomplete.*"):  # by a run that was killed
      shutil.rmtree(left)
    try:
      builder.download_and_prepare(download_dir=downloads)
    except Exception:
      builder.drafts.remove()
      raise
    builder.drafts.remove()  # an interruption leaves them


@contextlib.contextmanager
def _alone(folder: pathlib.Path) -> Iterator[None]:
  """Holds `folder` against another preparation, and removes it if it is left empty."""
  folder.mkdir(parents=True, exist_ok=True)
  handle = os.open(folder, os.O_RDONLY)
  try:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    raise ValueError(f"{folder}: another process prepares it; wait for that one") from None
  try:
    yield
  finally:
    os.close(handle)
    if not any(folder.iterdir()):
      folder.rmdir()


if __name__ == "__main__":
  main()
