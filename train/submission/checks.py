"""Everything that a server would refuse in an archive, by file, in one pass."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np

from train.data.server_formats import Format
from train.submission.archives import LARGEST_MEMBER, Entry, entries
from train.submission.png import GREY, PALETTE, read_header, read_values
from train.utils.problems import Report
from train.utils.progress import ProgressMeter

Sizes = Mapping[str, tuple[int, int] | None]
"""(height, width) by the image's id; None where it is not known."""


def check(archive: pathlib.Path, form: Format, images: Sizes | None) -> Report:
  """Looks at every member of an archive; nothing is unpacked to disk.

  Args:
    images: those that must have a prediction; None: whichever have.

  Raises:
    FileNotFoundError: no such archive.
  """
  report = Report()
  try:
    _check_entries(report, archive, form, images)
  except ValueError as error:  # of what is missing nothing can be said then
    report.add("unreadable archives", str(error))
    return report
  for image in [i for i in images or () if i not in report.seen]:
    report.add("missing", f"{image}{form.ending}")
  if len(report.folders) > 1:
    report.add("more than one competition", " and ".join(sorted(report.folders)))
  return report


def _check_entries(report: Report, archive: pathlib.Path, form: Format, images: Sizes | None) -> None:
  total = len(images or ()) or sum(1 for _ in entries(archive, form.archive))
  meter = ProgressMeter(total, "checking", "files")
  try:
    for entry in entries(archive, form.archive):
      if entry.kind != "folder":
        _check_entry(report, entry, form, images)
        meter.advance()
  finally:
    meter.close()


def _check_entry(report: Report, entry: Entry, form: Format, images: Sizes | None) -> None:
  image = _check_name(report, entry, form)
  if image is None:
    return
  if images is not None and image not in images:
    report.add("predictions of images that are none of the set", entry.name)
  elif image in report.seen:
    report.add("images with two predictions", f"{report.seen[image]} and {entry.name}")
  elif entry.size > LARGEST_MEMBER:
    report.seen[image] = entry.name
    report.add("too large for a label map", f"{entry.name}: {entry.size} bytes")
  else:
    report.seen[image] = entry.name
    _check_png(report, entry, form, (images or {}).get(image) or form.size)


def _check_name(report: Report, entry: Entry, form: Format) -> str | None:
  """The id of the image that this may be a prediction of, wherever it lies."""
  windows = pathlib.PureWindowsPath(entry.name)  # takes both separators, and drives
  folder, _, name = entry.name.removeprefix("./").rpartition("/")
  if windows.anchor or ".." in windows.parts:
    return report.add("names that lead out of the archive", entry.name)
  if entry.kind == "link":
    return report.add("links and devices", entry.name)
  image = form.identify(name.removesuffix(".png"))
  if not name.endswith(".png") or name.startswith(".") or image is None:
    begin = " whose names begin with city_seq_frame" if form.begins else ""
    return report.add(f"stray files; expected PNGs alone{begin}", entry.name)
  if folder in form.folders:
    report.folders.add(folder)
  elif form.folders:
    where = f"in {' or '.join(form.folders)}" if form.folders[0] else "in no folder"
    report.add(f"files in a wrong folder; expected {where}", entry.name)
  return image


def _check_png(report: Report, entry: Entry, form: Format, size: tuple[int, int] | None) -> None:
  try:
    content = entry.read()
    header = read_header(content)
    kinds = {PALETTE: "palette"} if form.palette is not None else {GREY: "grey", PALETTE: "palette"}
    if header.depth != 8 or header.colour not in kinds:
      expected = f"expected 8-bit {' or '.join(kinds.values())}"
      return report.add(f"wrong kinds of PNG; {expected}", f"{entry.name}: {header}")
    if size and header.size != tuple(size):
      expected = "expected {} x {}, got {} x {}".format(*size, *header.size)
      return report.add("wrong heights and widths", f"{entry.name}: {expected}")
    values, palette = read_values(content)
  except ValueError as error:
    return report.add("unreadable files", f"{entry.name}: {error}")
  _check_values(report, entry.name, form, values)
  if form.palette is not None and not _same_colours(palette, form.palette[: len(form.values)], values):
    report.add("other palettes than the training labels'", entry.name)


def _same_colours(palette: np.ndarray, colours: np.ndarray, values: np.ndarray) -> bool:
  """A palette may end after the last value that occurs."""
  return values.max() < len(palette) and np.array_equal(palette[: len(colours)], colours[: len(palette)])


def _check_values(report: Report, name: str, form: Format, values: np.ndarray) -> None:
  counts = np.bincount(values.ravel(), minlength=256)
  wrong = [int(value) for value in counts.nonzero()[0] if value not in form.values]
  if wrong:
    pixels = ", ".join(f"{value} ({counts[value]} pixels)" for value in wrong)
    report.add(f"values that are no class; expected {_listed(form.values)}", f"{name}: {pixels}")


def _listed(values: list[int]) -> str:
  first, last = values[0], values[-1]
  return f"{first}..{last}" if last - first + 1 == len(values) else ", ".join(map(str, values))
