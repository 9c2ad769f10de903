"""Parses the benchmarks' command lines; an invalid argument is an error before anything is measured."""

from __future__ import annotations

import argparse
import pathlib

from ppool_jax.utils.arguments import parse_path
from train.utils.json_files import check_output_file


def parser(name: str, description: str) -> argparse.ArgumentParser:
  """The parser of the benchmark `name`; `description` is its docstring."""
  raw = argparse.RawTextHelpFormatter
  return argparse.ArgumentParser(f"python -m benchmarks.{name}", description=description, formatter_class=raw)


def positive(text: str) -> int:
  """A whole number of at least 1."""
  if not text.isascii() or not text.isdigit() or int(text) < 1:
    raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
  return int(text)


def shape(text: str) -> tuple[int, int, int, int]:
  """[N, H, W, C] of "2,224,224,64"; H and W are even, so that 2x2 windows of stride 2 cover x."""
  try:
    n, h, w, c = map(positive, text.split(","))
  except (ValueError, argparse.ArgumentTypeError):
    raise argparse.ArgumentTypeError(f"expected N,H,W,C such as 2,224,224,64, got {text!r}") from None
  if h % 2 or w % 2:
    raise argparse.ArgumentTypeError(f"expected an even height and width, got {text!r}")
  return n, h, w, c


def folder(text: str) -> pathlib.Path:
  """An existing folder."""
  if not (path := parse_path(text)).is_dir():
    raise argparse.ArgumentTypeError(f"expected an existing folder, got {text!r}")
  return path


def out_file(text: str) -> pathlib.Path:
  """A file that can be written, in an existing folder."""
  path = parse_path(text)
  try:
    check_output_file(path)
  except ValueError as error:
    raise argparse.ArgumentTypeError(str(error)) from None
  return path
