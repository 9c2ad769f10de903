"""`python -m ppool_jax.weights list | fetch NAME | convert FILE --model NAME | verify FILE`."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from ppool_jax.utils.files import file_digest
from ppool_jax.utils.lookup import did_you_mean
from ppool_jax.weights import _NAMINGS, head_arrays, pretrained
from ppool_jax.weights.catalog import KNOWN
from ppool_jax.weights.converted import flat, is_converted, read_converted, write
from ppool_jax.weights.fetch import check, fetch
from ppool_jax.weights.mappings.key_mapping import fit
from ppool_jax.weights.preprocess import Preprocess
from ppool_jax.weights.readers.files import read


def main(arguments: Sequence[str] | None = None) -> int:
  """The exit status: 1 after an error, of which one line on stderr says what and why."""
  chosen = _parser().parse_args(arguments)
  try:
    chosen.run(chosen)
  except BrokenPipeError:  # `list | head`
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  except (ImportError, OSError, ValueError) as error:
    # Of names that do not match, the first lines say enough.
    print("error:", textwrap.shorten(str(error), 600, placeholder=" ..."), file=sys.stderr)
    return 1
  except KeyboardInterrupt:
    print("error: interrupted", file=sys.stderr)
    return 1
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m ppool_jax.weights",
    description="Pre-trained weights: get the files that others publish, check and convert them.",
  )
  commands = parser.add_subparsers(required=True, metavar="COMMAND")

  def command(run, name, text):
    added = commands.add_parser(name, help=text, description=text)
    added.set_defaults(run=run)
    return added

  command(_list, "list", "The well-known public files: network, size, hash, preprocessing and address.")
  added = command(_fetch, "fetch", "Download a well-known file, or the rest of it, and check its hash.")
  added.add_argument("name", metavar="NAME", help="the file's name, as `list` has it")
  added.add_argument("--out", metavar="DIR", default=".", help="the folder to put it in (default: this one)")
  added.add_argument("--url", help="another address of the same file; its hash is checked all the same")
  added = command(
    _convert,
    "convert",
    "Write weights as DIR/NAME.safetensors, which loads without PyTorch, h5py or protobuf.",
  )
  added.add_argument("file", metavar="FILE", help=".h5, .hdf5, .pth, .pt, .caffemodel or .safetensors")
  added.add_argument("--model", metavar="NAME", required=True, help=f"the network: {', '.join(_NAMINGS)}")
  added.add_argument("--out", metavar="DIR", required=True, help="the folder to write to, which is made")
  added = command(
    _verify, "verify", "Check a converted or well-known file, or say which network another fits."
  )
  added.add_argument("file", metavar="FILE", help="a file of weights")
  return parser


def _list(_):
  width = max(map(len, KNOWN))
  for known in KNOWN.values():
    size = f"{known.size:,} bytes" if known.size else "size unknown"
    print(f"{known.name:{width}}  {known.network:11}  {size:>17}  {known.kind} {known.hash}")
    print(f"  {_described(known.preprocess)}{known.note and f'; {known.note}'}")
    print(f"  {known.url} (hash: {known.hash_source})")


def _fetch(chosen):
  if chosen.name not in KNOWN:
    hint = did_you_mean(chosen.name, KNOWN)
    raise ValueError(f"NAME: expected a name that `list` prints, got {chosen.name!r}{hint}")
  known = KNOWN[chosen.name]
  path = fetch(known, chosen.out, chosen.url)
  print(f"{path}: {path.stat().st_size:,} bytes, {known.kind} {known.hash} as published")


def _convert(chosen):
  variables, preprocess, options = pretrained(chosen.model, chosen.file, classifier=None)
  head = head_arrays(chosen.model) & set(flat(variables))
  path = pathlib.Path(chosen.out) / f"{chosen.model}.safetensors"
  path.parent.mkdir(parents=True, exist_ok=True)
  write(path, chosen.model, variables, preprocess, options, chosen.file, head)
  print(f"{path}: {_counted(variables)}, {'with' if head else 'without'} the classifier")
  print(f"  {_described(preprocess)}; options {options}")


def _verify(chosen):
  path = pathlib.Path(chosen.file)
  if is_converted(path):
    held = read_converted(path)
    print(f"{path}: undamaged; {held.network} from {held.source} (sha256 {held.source_sha256})")
    print(f"  {_counted(held.variables)}, {'with' if held.head else 'without'} the classifier")
    print(f"  {_described(held.preprocess)}; options {held.options}")
  elif path.name in KNOWN:
    check(KNOWN[path.name], path)
    known = KNOWN[path.name]
    print(f"{path}: {known.network}, {known.kind} {known.hash} as published")
  else:
    _identify(path)


def _identify(path: pathlib.Path):
  """What an unknown file holds: the networks that its names and shapes fit, with the namings."""
  arrays = read(path)
  print(f"{path}: sha256 {file_digest(path, 'sha256')}, {len(arrays)} arrays")
  fits = [
    f"{network} ({naming.name} names, {_described(naming.preprocess)})"
    for network, namings in _NAMINGS.items()
    for naming in namings
    if _fits(naming, arrays)
  ]
  if not fits:
    raise ValueError(f"{path}: fits none of {', '.join(_NAMINGS)}")
  print("  fits", "; ".join(fits))


def _fits(naming, arrays: Mapping[str, np.ndarray]) -> bool:
  try:
    fit(naming, arrays)
  except ValueError:
    return False
  return True


def _counted(variables: Mapping) -> str:
  arrays = flat(variables).values()
  return f"{len(arrays)} arrays, {sum(array.size for array in arrays):,} numbers"


def _described(preprocess: Preprocess) -> str:
  def listed(numbers):
    return " ".join(f"{number:g}" for number in numbers)

  std = f", divided by {listed(preprocess.std)}" if set(preprocess.std) != {1.0} else ""
  return f"{preprocess.order}, 0..{255 * preprocess.scale:g}, minus {listed(preprocess.mean)}{std}"


if __name__ == "__main__":
  sys.exit(main())
