"""The collector of problems."""

import re

import pytest

from train.utils.problems import Problems, truncate


def test_no_problems_raise_nothing():
  Problems().raise_if_any("archive: rejected")


def test_problems_are_raised_by_kind_with_their_number():
  problems = Problems()
  problems.add("missing", "a.png")
  problems.add("wrong", "b.png: 3 x 4")
  problems.add("missing", "c.png")
  text = "archive: rejected; problems: 3\nmissing (2):\n  a.png\n  c.png\nwrong (1):\n  b.png: 3 x 4"
  with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
    problems.raise_if_any("archive: rejected")


def test_long_lists_are_truncated():
  assert truncate(["a", "b", "c"], 3) == ["a", "b", "c"]
  assert truncate(["a", "b", "c", "d"], 2) == ["a", "b", "and 2 more"]
