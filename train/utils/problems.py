"""Collects all problems of some input by kind, to report them in one error."""

from __future__ import annotations

_SHOWN = 20


class Problems:
  """Problems by kind.

  Attributes:
    by_kind: the problems of each kind, in the order in which they were added.
  """

  def __init__(self):
    self.by_kind: dict[str, list[str]] = {}

  def add(self, kind: str, problem: str) -> None:
    """Adds a problem, usually "FILE: expected ..., got ..."."""
    self.by_kind.setdefault(kind, []).append(problem)

  def raise_if_any(self, summary: str) -> None:
    """Raises an error if there are problems.

    Args:
      summary: the first line: the input, and what follows from its problems.

    Raises:
      ValueError: with the first 20 problems of each kind and the number of all.
    """
    total = sum(map(len, self.by_kind.values()))
    lines = [f"{summary}; problems: {total}"]
    for kind, problems in self.by_kind.items():
      lines += [f"{kind} ({len(problems)}):", *(f"  {line}" for line in truncate(problems, _SHOWN))]
    if total:
      raise ValueError("\n".join(lines))


def truncate(lines: list[str], shown: int) -> list[str]:
  """The first `shown` lines, and one with the number of the others."""
  more = [f"and {len(lines) - shown} more"] if len(lines) > shown else []
  return [*lines[:shown], *more]
