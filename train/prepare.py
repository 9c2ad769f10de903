"""python -m train.prepare camvid --source DIR: a data set's files to ArrayRecord, checked."""

from __future__ import annotations

import argparse
import pathlib
import sys

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
  from train.data.camvid import Camvid, find_pairs  # TFDS takes seconds to import

  pairs = find_pairs(pathlib.Path(source))
  builder = Camvid(source=source, data_dir=directory, file_format="array_record")
  builder.download_and_prepare()
  for split, info in builder.info.splits.items():
    print(f"{split}: {info.num_examples} pairs")
    if info.num_examples != len(pairs[split]):
      sys.exit(f"{builder.data_dir}: was prepared from other files; delete that folder to prepare it again")
  print(f"camvid is in {builder.data_dir}")


if __name__ == "__main__":
  main()
