"""Types of command-line arguments."""

import argparse

import pytest

from ppool_jax.utils.arguments import parse_size


def test_parse_size_returns_height_and_width():
  assert parse_size("180x240") == (180, 240)
  assert parse_size("0x0", minimum=0) == (0, 0)


@pytest.mark.parametrize(
  "text", ["32", "0x8", "8x0", "-1x8", "8x8x3", "8x", "x", "axb", "8 x 8", "1.5x2", ""]
)
def test_parse_size_rejects_other_texts(text):
  with pytest.raises(argparse.ArgumentTypeError, match=f"expected HEIGHTxWIDTH such as .*, got {text!r}"):
    parse_size(text)
