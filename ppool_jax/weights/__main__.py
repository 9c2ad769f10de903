"""`python -m ppool_jax.weights list | fetch NAME | convert FILE --model NAME | verify FILE`."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ppool_jax.utils.arguments import parse_path
from ppool_jax.utils.files import file_digest
from ppool_jax.utils.lookup import did_you_mean
from ppool_jax.weights import classifier_paths, pretrained
from ppool_jax.weights.catalog import CATALOG
from ppool_jax.weights.converted import flatten, is_converted, read_converted, write_converted
from ppool_jax.weights.fetch import fetch, verify
from ppool_jax.weights.mappings import KEY_MAPPINGS, KeyMapping, convert
from ppool_jax.weights.preprocess import Preprocess
from ppool_jax.weights.readers.files import read


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs a command; returns the exit status: 1 after an error, which is one line on stderr."""
  args = _parser().parse_args(arguments)
  try:
    args.run(args)
  except BrokenPipeError:  # `list | head`
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  except (ImportError, OSError, ValueError) as error:
    # The first of many keys that do not match are enough.
    print("error:", textwrap.shorten(str(error), 600, placeholder=" ..."), file=sys.stderr)
    return 1
  except KeyboardInterrupt:
    print("error: interrupted", file=sys.stderr)
    return 1
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m ppool_jax.weights",
    description="Downloads, verifies and converts pre-trained weights.",
  )
  commands = parser.add_subparsers(required=True, metavar="COMMAND")

  def command(run: Callable[[argparse.Namespace], None], name: str, text: str) -> argparse.ArgumentParser:
    added = commands.add_parser(name, help=text, description=text)
    added.set_defaults(run=run)
    return added

  command(_list, "list", "List the public files: network, size, hash, preprocessing and address.")
  added = command(_fetch, "fetch", "Download a public file, or resume its download, and verify its hash.")
  added.add_argument("name", metavar="NAME", help="name of the file, as printed by `list`")
  added.add_argument(
    "--out", metavar="DIR", type=parse_path, default=".", help="directory to write to (default: this one)"
  )
  added.add_argument("--url", help="another address of the same file; its hash is verified all the same")
  added = command(
    _convert,
    "convert",
    "Convert weights to DIR/NAME.safetensors, which loads without PyTorch, h5py or protobuf.",
  )
  added.add_argument(
    "file", metavar="FILE", type=parse_path, help=".h5, .hdf5, .pth, .pt, .caffemodel or .safetensors"
  )
  added.add_argument("--model", metavar="NAME", required=True, help=f"network: {', '.join(KEY_MAPPINGS)}")
  added.add_argument(
    "--out", metavar="DIR", type=parse_path, required=True, help="directory to write to, which is created"
  )
  added = command(
    _verify, "verify", "Verify a converted or public file, or identify the networks that another file fits."
  )
  added.add_argument("file", metavar="FILE", type=parse_path, help="a weight file")
  return parser


def _list(_: argparse.Namespace) -> None:
  width = max(map(len, CATALOG))
  for file in CATALOG.values():
    size = f"{file.size:,} bytes" if file.size else "size unknown"
    print(f"{file.name:{width}}  {file.network:11}  {size:>17}  {file.described_hash}")
    print(f"  {_describe_preprocess(file.preprocess)}{file.note and f'; {file.note}'}")
    print(f"  {file.url} (hash: {file.hash_source})")


def _fetch(args: argparse.Namespace) -> None:
  if args.name not in CATALOG:
    hint = did_you_mean(args.name, CATALOG)
    raise ValueError(f"NAME: expected a name that `list` prints, got {args.name!r}{hint}")
  file = CATALOG[args.name]
  path = fetch(file, args.out, args.url)
  print(f"{path}: {path.stat().st_size:,} bytes, {file.described_hash} as published")


def _convert(args: argparse.Namespace) -> None:
  variables, preprocess, options = pretrained(args.model, args.file, classifier=None)
  classifier = classifier_paths(args.model) & set(flatten(variables))
  path = pathlib.Path(args.out) / f"{args.model}.safetensors"
  path.parent.mkdir(parents=True, exist_ok=True)
  write_converted(path, args.model, variables, preprocess, options, args.file, sorted(classifier))
  print(f"{path}: {_describe_contents(variables, bool(classifier))}")
  print(f"  {_describe_preprocess(preprocess)}; options {options}")


def _verify(args: argparse.Namespace) -> None:
  path = pathlib.Path(args.file)
  if is_converted(path):
    converted = read_converted(path)
    print(
      f"{path}: undamaged; {converted.network} from {converted.source} (sha256 {converted.source_sha256})"
    )
    print(f"  {_describe_contents(converted.variables, bool(converted.classifier))}")
    print(f"  {_describe_preprocess(converted.preprocess)}; options {converted.options}")
  elif path.name in CATALOG:
    file = CATALOG[path.name]
    verify(file, path)
    print(f"{path}: {file.network}, {file.described_hash} as published")
  else:
    _identify(path)


def _identify(path: pathlib.Path) -> None:
  """Prints the networks that an unknown file fits by its keys and shapes."""
  arrays = read(path)
  print(f"{path}: sha256 {file_digest(path, 'sha256')}, {len(arrays)} arrays")
  fits = [
    f"{network} ({mapping.name} keys, {_describe_preprocess(mapping.preprocess)})"
    for network, mappings in KEY_MAPPINGS.items()
    for mapping in mappings
    if _fits(mapping, arrays)
  ]
  if not fits:
    raise ValueError(f"{path}: fits none of {', '.join(KEY_MAPPINGS)}")
  print("  fits", "; ".join(fits))


def _fits(mapping: KeyMapping, arrays: Mapping[str, np.ndarray]) -> bool:
  try:
    convert(mapping, arrays)
  except ValueError:
    return False
  return True


def _describe_contents(variables: dict[str, Any], classifier: bool) -> str:
  arrays = flatten(variables).values()
  numbers = sum(array.size for array in arrays)
  return f"{len(arrays)} arrays, {numbers:,} numbers, {'with' if classifier else 'without'} the classifier"


def _describe_preprocess(preprocess: Preprocess) -> str:
  def listed(numbers):
    return " ".join(f"{number:g}" for number in numbers)

  std = f", divided by {listed(preprocess.std)}" if set(preprocess.std) != {1.0} else ""
  return f"{preprocess.order}, 0..{255 * preprocess.scale:g}, minus {listed(preprocess.mean)}{std}"


if __name__ == "__main__":
  sys.exit(main())
