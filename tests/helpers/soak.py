"""Interrupts a training many times: kill -9, SIGTERM, and damage to its newest checkpoint between restarts.

  make soak, or PYTHONPATH=. python tests/helpers/soak.py [--interruptions 30] [--seed 0] [--workdir DIR]

It must end with the parameters, scores and logged losses of an uninterrupted run.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import signal
import sys
import tempfile
import time

from tests.helpers.training import OVERRIDES, program, run
from train.loop.metric_writer import read_metrics

STEPS = 40
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


def command(workdir: pathlib.Path, *more: str, steps: int = STEPS) -> list[str]:
  """The arguments of a short training with a checkpoint every third step."""
  overrides = {**OVERRIDES, "steps": steps, "batch_size": 2, "checkpoint.every": 3, "eval.every": 20}
  flags = [f"--config.{key}={value}" for key, value in overrides.items()]
  file = "--config=configs/quickstart.py:pool=max,runlocal"
  return ["train", file, f"--workdir={workdir}", *flags, *more]


def wait_for(process, condition, limit: float = 120.0) -> None:
  """Waits for `condition()`, the end of the process, or `limit` seconds."""
  end = time.monotonic() + limit
  while not condition() and process.poll() is None and time.monotonic() < end:
    time.sleep(0.002)


def steps_logged(workdir: pathlib.Path) -> int:
  path = workdir / "metrics.jsonl"
  return path.read_text().count('"loss"') if path.is_file() else 0


def truncate(file: pathlib.Path, draw: random.Random) -> None:
  content = file.read_bytes()
  file.write_bytes(content[: draw.randrange(len(content))])


def flip_bit(file: pathlib.Path, draw: random.Random) -> None:
  content = bytearray(file.read_bytes())
  content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
  file.write_bytes(bytes(content))


def remove(file: pathlib.Path, draw: random.Random) -> None:
  del draw
  file.unlink()


DAMAGES = (truncate, flip_bit, remove)


def damage_newest(folder: pathlib.Path, draw: random.Random, damage) -> str:
  """Damages a file of the newest checkpoint; returns which."""
  steps = [path for path in folder.glob("*") if path.name.isdigit()]
  if not steps:
    return "no checkpoint yet"
  newest = max(steps, key=lambda path: int(path.name))
  files = sorted(path for path in newest.rglob("*") if path.is_file() and path.stat().st_size)
  file = draw.choice(files)
  damage(file, draw)
  return f"{damage.__name__} {file.relative_to(folder)}"


def interrupt(arguments: list[str], workdir: pathlib.Path, goal: int, number, pause: float) -> None:
  """Starts the training and sends the signal `pause` seconds after `goal` steps are logged."""
  process = program(arguments)
  wait_for(process, lambda: steps_logged(workdir) >= goal)
  time.sleep(pause)
  assert process.poll() is None, f"ended before step {goal}: {process.communicate()[0]}"
  process.send_signal(number)
  output, _ = process.communicate(timeout=120)
  if number == signal.SIGTERM:
    assert process.returncode == 0, output
    assert "interrupted: saved at step" in output


def disturb(workdir: pathlib.Path, count: int, seed: int, steps: int = STEPS, tell=lambda text: None) -> None:
  """Trains to the end with `count` interruptions at random steps."""
  draw = random.Random(seed)
  numbers = draw.sample(SIGNALS * count, count)
  numbers[: len(SIGNALS)] = SIGNALS  # each kind at least once
  # Every other time a checkpoint is damaged, each way in its turn.
  damages = [DAMAGES[turn // 2 % len(DAMAGES)] if turn % 2 else None for turn in range(count)]
  for turn, (number, damage) in enumerate(zip(numbers, damages, strict=True)):
    before = steps_logged(workdir)
    last = steps - 10  # later, the run might end first
    goal = before + draw.randint(1, max(1, 2 * (last - before) // (count - turn)))
    if goal > last:  # too late: as it starts
      goal, number = 0, signal.SIGKILL
    interrupt(command(workdir, steps=steps), workdir, goal, number, draw.uniform(0, 0.1))
    did = damage_newest(workdir / "checkpoints", draw, damage) if damage else "nothing damaged"
    tell(f"{turn + 1}/{count}  {number.name} at step {steps_logged(workdir)}, {did}")
  status, output = run(command(workdir, steps=steps))
  assert status == 0, output


def assert_same(workdir: pathlib.Path, undisturbed: pathlib.Path) -> None:
  """Compares parameters, score and best checkpoint bit by bit; every step must be logged exactly once."""
  one, other = (json.loads((path / "summary.json").read_text()) for path in (workdir, undisturbed))
  for key in ("step", "params_sha256", "miou"):
    assert one[key] == other[key], f"{key} is {one[key]}, undisturbed {other[key]}"
  best = [sorted(child.name for child in (path / "best").iterdir()) for path in (workdir, undisturbed)]
  assert best[0] == best[1], f"best/ has {best[0]}, undisturbed {best[1]}"
  logs = [
    [(line["step"], line.get("loss"), line.get("gradient_norm"), line.get("eval/miou")) for line in lines]
    for lines in map(read_metrics, (workdir, undisturbed))
  ]
  assert logs[0] == logs[1], "the logged steps and losses differ"


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("--interruptions", type=int, default=30)
  parser.add_argument("--seed", type=int, default=0, help="of what happens when")
  parser.add_argument("--workdir", type=pathlib.Path, help="kept; none: a temporary folder")
  options = parser.parse_args()
  with tempfile.TemporaryDirectory() as temporary:
    folder = options.workdir or pathlib.Path(temporary)
    steps, began = max(STEPS, 6 * options.interruptions), time.monotonic()

    def tell(text: str) -> None:
      print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True)

    status, output = run(command(folder / "undisturbed", steps=steps))
    assert status == 0, output
    tell(f"undisturbed: {steps} steps")
    disturb(folder / "disturbed", options.interruptions, options.seed, steps, tell)
    assert_same(folder / "disturbed", folder / "undisturbed")
    aside = len(list((folder / "disturbed").glob("damaged-checkpoint-*")))
    summary = json.loads((folder / "disturbed/summary.json").read_text())
    tell(f"the same params_sha256, {summary['params_sha256']}, miou and {steps} logged steps after "
         f"{options.interruptions} interruptions; {aside} damaged checkpoints set aside")  # fmt: skip


if __name__ == "__main__":
  try:
    main()
  except AssertionError as error:
    sys.exit(f"soak: {error}")
