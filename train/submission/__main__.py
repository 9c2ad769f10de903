"""python -m train.submission NAME ARCHIVE: checks that a benchmark's server would accept an archive."""

from __future__ import annotations

import argparse
import pathlib

from ppool_jax.utils.arguments import parse_path
from train.data.submission_formats import SUBMISSION_FORMATS
from train.submission.checks import check_archive
from train.submission.images import list_expected_images
from train.utils.errors import report_errors


def main() -> None:
  parser = argparse.ArgumentParser("python -m train.submission", description=__doc__)
  parser.add_argument("name", choices=SUBMISSION_FORMATS, help="the benchmark")
  parser.add_argument("archive", type=parse_path, help="the file to upload")
  parser.add_argument("--images", type=parse_path, metavar="DIR", help="folder of the split's images")
  parser.add_argument("--ids", type=parse_path, metavar="FILE", help="list of the split's ids, one per line")
  arguments = parser.parse_args()
  with report_errors():
    validate_archive(**vars(arguments))


def validate_archive(
  name: str, archive: pathlib.Path, images: pathlib.Path | None = None, ids: pathlib.Path | None = None
) -> None:
  """Validates an archive, whichever program made it, and prints what could not be checked.

  Args:
    name: a key of `SUBMISSION_FORMATS`.
    images: folder of the images; each must have a prediction of its size.
    ids: list of the images that must have a prediction; the folder `images` may contain others.

  Raises:
    FileNotFoundError: the archive, folder or list does not exist.
    ValueError: the server would reject the archive; the message names all problems.
  """
  form = SUBMISSION_FORMATS[name]
  expected = list_expected_images(form, images, ids)
  contents = check_archive(archive, form, expected)
  contents.problems.raise_if_any(f"{archive}: {name}'s server rejects this archive")
  print(f"{archive}: valid for {name}'s server, {len(contents.predictions)} predictions")
  if expected is None:
    print("Completeness was not checked: give the images with --images or --ids.")
  if images is None and form.size is None:
    print("Sizes were not checked: give the images with --images.")


if __name__ == "__main__":
  main()
