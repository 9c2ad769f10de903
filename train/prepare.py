"""python -m train.prepare camvid --source DIR: a data set's files to ArrayRecord, checked."""

from __future__ import annotations

import argparse
import pathlib
import tempfile

from train.errors import report_errors


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m train.prepare", description=__doc__)
  parser.add_argument("name", choices=["camvid"], help="the data set")
  parser.add_argument("--source", required=True, help="folder with the data set's own files")
  parser.add_argument("--dir", default="data", help="where prepared data sets are kept (default: data)")
  arguments = parser.parse_args()
  with report_errors():
    prepare_camvid(arguments.source, arguments.dir)


def prepare_camvid(source: str, directory: str) -> None:
  """Reads every pair, checks it, and writes ArrayRecord files; a failure leaves nothing half-made.

  Raises:
    FileNotFoundError, ValueError: a file that is missing, unreadable or wrong; it is named.
  """
  import tensorflow_datasets as tfds  # takes seconds

  from train.data.camvid import Camvid, find_pairs
  from train.data.files import fingerprint

  source = pathlib.Path(source).expanduser()
  pairs = find_pairs(source)
  builder = Camvid(source=source, data_dir=pathlib.Path(directory).expanduser(), file_format="array_record")
  tfds.disable_progress_bar()  # the builder shows its own
  with tempfile.TemporaryDirectory() as downloads:  # there are none, but TFDS makes a folder for them
    builder.download_and_prepare(download_dir=downloads)
  counts = {split: info.num_examples for split, info in builder.info.splits.items()}
  same = builder.info.metadata.get("source", fingerprint(pairs)) == fingerprint(pairs)
  if not same or counts != {split: len(pairs[split]) for split in pairs}:
    raise ValueError(
      f"{builder.data_dir}: was prepared from other files than those in {source}; "
      "delete that folder to prepare it again"
    )
  for split, count in counts.items():
    print(f"{split}: {count} pairs")
  print(f"camvid is in {builder.data_dir}")


if __name__ == "__main__":
  main()
