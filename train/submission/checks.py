"""Validation of a submission archive: everything that the server would reject, found in one pass."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np

from train.data.preparation.archives import escapes
from train.data.submission_formats import SubmissionFormat
from train.submission.archives import MAX_MEMBER_BYTES, Entry, iterate_entries
from train.submission.png import GRAY, PALETTE, read_header, read_values
from train.utils.problems import Problems
from train.utils.progress import ProgressMeter

ImageSizes = Mapping[str, tuple[int, int] | None]
"""(height, width) by image id; None where it is unknown."""


@dataclasses.dataclass
class ArchiveContents:
  """What an archive contains.

  Attributes:
    predictions: the path of each prediction in the archive, by image id.
    folders: those of the format's folders that contain predictions.
    problems: what the server would reject.
  """

  predictions: dict[str, str] = dataclasses.field(default_factory=dict)
  folders: set[str] = dataclasses.field(default_factory=set)
  problems: Problems = dataclasses.field(default_factory=Problems)


def check_archive(
  archive: pathlib.Path, form: SubmissionFormat, images: ImageSizes | None
) -> ArchiveContents:
  """Validates every member of an archive without unpacking it to disk.

  Args:
    images: the images that must have a prediction; None accepts any.

  Raises:
    FileNotFoundError: the archive does not exist.
  """
  contents = ArchiveContents()
  try:
    _check_entries(contents, archive, form, images)
  except ValueError as error:  # which predictions are missing is then unknown
    contents.problems.add("unreadable archives", str(error))
    return contents
  for image in [i for i in images or () if i not in contents.predictions]:
    contents.problems.add("missing", f"{image}{form.suffix}")
  if len(contents.folders) > 1:
    contents.problems.add("more than one competition", " and ".join(sorted(contents.folders)))
  return contents


def _check_entries(
  contents: ArchiveContents, archive: pathlib.Path, form: SubmissionFormat, images: ImageSizes | None
) -> None:
  total = len(images or ()) or sum(1 for _ in iterate_entries(archive, form.archive))
  meter = ProgressMeter(total, "checking", "files")
  try:
    for entry in iterate_entries(archive, form.archive):
      if entry.kind != "folder":
        _check_entry(contents, entry, form, images)
        meter.advance()
  finally:
    meter.close()


def _check_entry(
  contents: ArchiveContents, entry: Entry, form: SubmissionFormat, images: ImageSizes | None
) -> None:
  problems, predictions = contents.problems, contents.predictions
  image = _check_path(contents, entry, form)
  if image is None:
    return
  if images is not None and image not in images:
    problems.add("predictions of images that are not in the split", entry.name)
  elif image in predictions:
    problems.add("images with two predictions", f"{predictions[image]} and {entry.name}")
  elif entry.size > MAX_MEMBER_BYTES:
    predictions[image] = entry.name
    problems.add("too large for a label map", f"{entry.name}: {entry.size} bytes")
  else:
    predictions[image] = entry.name
    _check_png(problems, entry, form, (images or {}).get(image) or form.size)


def _check_path(contents: ArchiveContents, entry: Entry, form: SubmissionFormat) -> str | None:
  """The id of the image that the entry predicts; None if it is not a prediction."""
  problems = contents.problems
  folder, _, name = entry.name.removeprefix("./").rpartition("/")
  if escapes(entry.name):
    return problems.add("paths that escape the archive", entry.name)
  if entry.kind == "link":
    return problems.add("links and devices", entry.name)
  image = form.identify(name.removesuffix(".png"))
  if not name.endswith(".png") or name.startswith(".") or image is None:
    names = " with names that begin with city_seq_frame" if form.id_pattern else ""
    return problems.add(f"unexpected files; expected only PNGs{names}", entry.name)
  if folder in form.folders:
    contents.folders.add(folder)
  elif form.folders:
    expected = f"in {' or '.join(form.folders)}" if form.folders[0] else "without folders"
    problems.add(f"files in a wrong folder; expected {expected}", entry.name)
  return image


def _check_png(
  problems: Problems, entry: Entry, form: SubmissionFormat, size: tuple[int, int] | None
) -> None:
  try:
    content = entry.read()
    header = read_header(content)
    allowed = {PALETTE: "palette"} if form.palette is not None else {GRAY: "gray", PALETTE: "palette"}
    if header.depth != 8 or header.color_type not in allowed:
      expected = f"expected 8-bit {' or '.join(allowed.values())}"
      return problems.add(f"wrong PNG types; {expected}", f"{entry.name}: {header}")
    if size and header.size != tuple(size):
      expected = "expected {} x {}, got {} x {}".format(*size, *header.size)
      return problems.add("wrong heights and widths", f"{entry.name}: {expected}")
    values, palette = read_values(content)
  except ValueError as error:
    return problems.add("unreadable files", f"{entry.name}: {error}")
  _check_values(problems, entry.name, form, values)
  if form.palette is not None and not _same_colors(palette, form.palette[: len(form.values)], values):
    problems.add("palettes that differ from that of the training labels", entry.name)


def _same_colors(palette: np.ndarray, colors: np.ndarray, values: np.ndarray) -> bool:
  """Compares palettes; `palette` may end after the last value that occurs."""
  return values.max() < len(palette) and np.array_equal(palette[: len(colors)], colors[: len(palette)])


def _check_values(problems: Problems, name: str, form: SubmissionFormat, values: np.ndarray) -> None:
  counts = np.bincount(values.ravel(), minlength=256)
  wrong = [int(value) for value in counts.nonzero()[0] if value not in form.values]
  if wrong:
    pixels = ", ".join(f"{value} ({counts[value]} pixels)" for value in wrong)
    problems.add(f"values of no class; expected {_format_values(form.values)}", f"{name}: {pixels}")


def _format_values(values: list[int]) -> str:
  first, last = values[0], values[-1]
  return f"{first}..{last}" if last - first + 1 == len(values) else ", ".join(map(str, values))
