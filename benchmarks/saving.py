"""Times checkpoints: how long the loop waits while one is saved, and how long restoring takes.

  python -m benchmarks.saving [--networks vgg16 resnet50] [--rounds 7] [--folder DIR] [--out FILE.json]

"copy" copies the state to host memory, "stall" is the whole time that the loop waits for a checkpoint,
"write" is the time of the background thread, including digests and fsync; "restore" reads, verifies and
places a state. All are medians; copy and stall alternate.
"""

from __future__ import annotations

import contextlib
import pathlib
import statistics
import tempfile
import time

import jax
import numpy as np
from rich.progress import track

from benchmarks import arguments
from benchmarks.steps import Case
from ppool_jax.models import NETWORKS
from train.checkpointing.async_checkpointer import AsyncCheckpointer
from train.checkpointing.checkpoint import Checkpoints
from train.experiment.run import create_train_state
from train.planning.machine import describe_machine
from train.step.parallel import Pmap
from train.utils.errors import report_errors
from train.utils.json_files import write_json
from train.visualization.text import print_table

_COLUMNS = ("copy", "stall", "write", "restore")


def main() -> None:
  parser = arguments.parser("saving", __doc__)
  parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["vgg16", "resnet50"])
  parser.add_argument("--rounds", type=arguments.positive, default=7)
  parser.add_argument("--folder", type=arguments.folder, help="on the disk to measure")
  parser.add_argument("--out", type=arguments.out_file)
  args = parser.parse_args()
  rows = {}
  for network in args.networks:
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
      rows[network] = measure(network, pathlib.Path(folder), args.rounds)
  lines = [
    [network, f"{row['mib']:.0f}", *(f"{row[name]:.3f}" for name in _COLUMNS)]
    for network, row in rows.items()
  ]
  print_table(["seconds", "MiB", *_COLUMNS], lines)
  if args.out:
    write_json(args.out, {"machine": describe_machine(), "saving": rows})


def measure(network: str, folder: pathlib.Path, rounds: int) -> dict[str, float]:
  """Medians in seconds, and the size of the training state of `network` with P-pooling."""
  case = Case(network, "ppool", "float32", (64, 64), batch=1)
  template, _, _ = create_train_state(case.experiment(), case.config())
  parallel, checkpoints = Pmap(), Checkpoints(folder, max_to_keep=1)
  state = jax.block_until_ready(parallel.place_state(template))
  times: dict[str, list[float]] = {name: [] for name in _COLUMNS}

  def timed(name, function, *args):
    started = time.perf_counter()
    result = jax.block_until_ready(function(*args))
    times[name].append(time.perf_counter() - started)
    return result

  with AsyncCheckpointer(checkpoints) as saver:
    for step in track(range(rounds), network):
      timed("copy", lambda: jax.tree.map(np.array, jax.device_get(state)))
      timed("stall", saver.save, step, state, 0.0)
      timed("write", saver.wait)
  checkpoints.close()
  for _ in range(rounds):
    with contextlib.closing(Checkpoints(folder, max_to_keep=1)) as saved:
      timed("restore", lambda saved=saved: parallel.place_state(saved.restore(template)[0]))
  mib = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(template)) / 2**20
  return {"mib": mib, **{name: statistics.median(seconds) for name, seconds in times.items()}}


if __name__ == "__main__":
  with report_errors():
    main()
