"""Looking up names that users write, with a suggestion where a name is misspelled."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def closest(name: object, known: Iterable[object], cutoff: float = 0.6) -> str | None:
  """The known name that is most similar to `name`; None where no similarity reaches `cutoff` (0..1)."""
  matches = difflib.get_close_matches(str(name), [str(key) for key in known], n=1, cutoff=cutoff)
  return matches[0] if matches else None


def did_you_mean(name: object, known: Iterable[object]) -> str:
  """A hint for an error message, such as " (did you mean 'max'?)"; empty where no known name is similar."""
  match = closest(name, known)
  return f" (did you mean {match!r}?)" if match else ""


def lookup(name: str, table: Mapping[str, T], argument: str) -> T:
  """`table[name]`.

  Args:
    name: the key, as a user wrote it.
    table: everything that exists, by name.
    argument: the argument that `name` was given for, for the message.

  Raises:
    ValueError: no such name; the message lists the existing names and suggests the closest.
  """
  if name not in table:
    raise ValueError(
      f"{argument}: expected one of {', '.join(table)}, got {name!r}{did_you_mean(name, table)}"
    )
  return table[name]
