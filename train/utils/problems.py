"""A report of everything that is wrong, by kind."""

from __future__ import annotations

_SHOWN = 20


class Report:
  """What is wrong, by kind.

  Attributes:
    found: of each kind, what was found.
    seen: ids of the images that have a prediction, with its name.
    folders: where predictions lie, of those where they may.
  """

  def __init__(self):
    self.found: dict[str, list[str]] = {}
    self.seen: dict[str, str] = {}
    self.folders: set[str] = set()

  def add(self, kind: str, what: str) -> None:
    self.found.setdefault(kind, []).append(what)

  def refuse(self, what: str) -> None:
    """Does nothing if nothing was found.

    Args:
      what: it was found in, and what that means.

    Raises:
      ValueError: of each kind the first 20 that were found, and their number.
    """
    total = sum(map(len, self.found.values()))
    lines = [f"{what}; problems: {total}"]
    for kind, found in self.found.items():
      more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
      lines += [f"{kind} ({len(found)}):", *(f"  {line}" for line in [*found[:_SHOWN], *more])]
    if total:
      raise ValueError("\n".join(lines))
