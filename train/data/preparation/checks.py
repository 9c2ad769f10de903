"""Validation of a data set's files: all problems in one error, and the number of samples in each split."""

from __future__ import annotations

from collections.abc import Mapping

from train.data.preparation.samples import SourceIndex, validate
from train.utils.problems import truncate
from train.utils.progress import track

_SHOWN = 50


def validate_source(
  index: SourceIndex, source: str, size: tuple[int, int] | None, expected: Mapping[str, int]
) -> None:
  """Reads and validates every file.

  Args:
    source: the folder, for the error message.
    size: (height, width) of every image, or None.
    expected: the number of samples that each split must have.

  Raises:
    ValueError: files are missing, unreadable or invalid, or a split has a wrong number of samples; the
      message has the first 50 problems and the number of all.
  """
  problems = [*check_counts(index, expected), *index.problems]
  for sample in track(index.samples, "checking"):
    problems += validate(sample, index.table, size)[0]
  if len(problems) == 1:
    raise ValueError(problems[0])
  if problems:
    raise ValueError("\n  ".join([f"{len(problems)} problems in {source}:", *truncate(problems, _SHOWN)]))


def check_counts(index: SourceIndex, expected: Mapping[str, int]) -> list[str]:
  """Reports the splits whose number of samples differs from the published one."""
  counts = {split: len(index.splits.get(split, ())) for split in expected}
  return [
    f"{split}: {counts[split]} of {expected[split]} images; --partial accepts an incomplete data set"
    for split in expected
    if counts[split] != expected[split]
  ]


def print_counts(index: SourceIndex, published: Mapping[str, int]) -> None:
  """Prints the number of samples in each split, with the published number if some are missing."""
  for split, samples in index.splits.items():
    full = published.get(split, len(samples))
    of_full = f" of {full}" if len(samples) != full else ""
    kind = "images without labels" if split in index.unlabeled else "images"
    print(f"{split}: {len(samples)}{of_full} {kind}")
  for split, parts in index.combined.items():
    print(f"{split}: {' + '.join(parts)}, {sum(len(index.splits[part]) for part in parts)} images")
