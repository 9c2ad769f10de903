"""Everything that is wrong with a data set's files, said at once; and what is there, in numbers."""

from __future__ import annotations

from collections.abc import Mapping

from train.data.preparation.samples import Found, examine
from train.utils.progress import track

_SHOWN = 50


def check(found: Found, source: str, size: tuple[int, int] | None, published: Mapping[str, int]) -> None:
  """Reads every file.

  Args:
    source: where they are, for the error.
    size: (height, width) of every image, or None.
    published: the number of examples that each split must have.

  Raises:
    ValueError: files that are missing, unreadable or wrong, all of them named (the first 50 printed), or
      wrong numbers.
  """
  problems = [*wrong_counts(found, published), *found.problems]
  for pair in track(found.pairs, "checking"):
    problems += examine(pair, found.table, size)[0]
  if problems:
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    lines = "\n  ".join([*problems[:_SHOWN], *more])
    raise ValueError(lines if len(problems) == 1 else f"{len(problems)} problems in {source}:\n  {lines}")


def wrong_counts(found: Found, published: Mapping[str, int]) -> list[str]:
  """What is said of splits that have another number of examples than was published."""
  counts = {split: len(found.splits.get(split, ())) for split in published}
  return [
    f"{split}: {counts[split]} of {published[split]} images; --partial takes the data set as it is"
    for split in published
    if counts[split] != published[split]
  ]


def print_counts(found: Found, published: Mapping[str, int]) -> None:
  """A line a split: how many examples, of how many if some are absent."""
  for split, pairs in found.splits.items():
    full = published.get(split, len(pairs))
    part = f" of {full}" if len(pairs) != full else ""
    print(f"{split}: {len(pairs)}{part} {'images without labels' if split in found.unlabelled else 'pairs'}")
  for split, parts in found.composed.items():
    print(f"{split}: {' + '.join(parts)}, {sum(len(found.splits[part]) for part in parts)} pairs")
