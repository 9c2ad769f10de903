"""python -m train.submission voc ARCHIVE --images DIR: whether a benchmark's server would take an archive."""

from __future__ import annotations

import argparse
import pathlib

from train.data.server_formats import FORMATS
from train.submission.checks import check
from train.submission.images import named
from train.utils.errors import report_errors


def main() -> None:
  parser = argparse.ArgumentParser("python -m train.submission", description=__doc__)
  parser.add_argument("name", choices=FORMATS, help="the benchmark")
  parser.add_argument("archive", type=pathlib.Path, help="what is to be uploaded")
  parser.add_argument("--images", type=pathlib.Path, metavar="DIR", help="with every image of the set")
  parser.add_argument("--ids", type=pathlib.Path, metavar="FILE", help="a list of them, one a line")
  arguments = parser.parse_args()
  with report_errors():
    validate(**vars(arguments))


def validate(
  name: str, archive: pathlib.Path, images: pathlib.Path | None = None, ids: pathlib.Path | None = None
) -> None:
  """Checks an archive, wherever it was made, and says what could not be checked.

  Args:
    name: of `FORMATS`.
    images: folder of the images: each must have a prediction of its size.
    ids: list of those that must have one; with `images`, which has the sizes, there may be more of them.

  Raises:
    FileNotFoundError: no such archive, folder or list.
    ValueError: everything that is wrong with the archive.
  """
  form = FORMATS[name]
  wanted = named(form, images, ids)
  report = check(archive, form, wanted)
  report.refuse(f"{archive}: {name}'s server takes no such archive")
  print(f"{archive}: {len(report.seen)} predictions, as {name}'s server takes them")
  if wanted is None:
    print("Whether any is missing was not checked: name the images with --images or --ids.")
  if images is None and form.size is None:
    print("Their sizes were not checked: name the images with --images.")


if __name__ == "__main__":
  main()
