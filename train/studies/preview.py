"""Prints the runs of a study and their status (`--list`), and what it would train (`--dry-run`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from rich.console import Console
from rich.table import Table

from ppool_jax import weights
from ppool_jax.utils.files import local_path
from ppool_jax.weights.preprocess import TORCHVISION
from train.experiment.experiment import make_experiment, open_split
from train.step.optimizer import make_optimizer, make_schedule
from train.studies.definition import Study, Variant
from train.studies.result import read_result
from train.studies.runs import Run, try_lock


def print_runs(runs: Sequence[Run]) -> None:
  """Prints a row for each run with its index and status."""
  table = Table("index", "variant", "seed", "status")
  for index, run in enumerate(runs):
    table.add_row(str(index), run.variant.name, str(run.seed), _format_status(run))
  _print_table(table)


def print_plan(study: Study, variants: Sequence[Variant], runs: Sequence[Run]) -> None:
  """Builds every variant abstractly, and prints its network, its parameters and the missing files.

  Raises:
    ValueError, TypeError, ImportError: a variant cannot be built; the message names it.
  """
  seeds = list(dict.fromkeys(run.seed for run in runs))
  table = Table("variant", "compared with", "network", "pooling", "parameters", "of alpha", "steps", "batch")
  missing = {}
  for variant in variants:
    config = study.resolve_config(variant, seeds[0])
    try:
      parameters, alpha_parameters = _count_parameters(config)
    except (ValueError, TypeError, ImportError) as error:
      raise type(error)(f"variant {variant.name!r}: {error}") from error
    pooling = (
      config.pool if not config.pool_stages else f"{' '.join(config.pool_stages)}, rest {config.pool_rest}"
    )
    cells = (
      config.model.name,
      pooling,
      f"{parameters:,}",
      f"{alpha_parameters:,}",
      config.steps,
      config.batch_size,
    )
    table.add_row(variant.name, study.baseline_name(variant) or "–", *map(str, cells))  # noqa: RUF001
    for problem in _find_missing(config):
      missing.setdefault(problem, []).append(variant.name)
  _print_table(table)
  print(
    f"{study.name}: {len(runs)} runs, {len(variants)} variants with the seeds {', '.join(map(str, seeds))}"
  )
  for problem, names in missing.items():
    print(f"missing for {'all variants' if len(names) == len(variants) else ', '.join(names)}: {problem}")


def _print_table(table: Table) -> None:
  """Prints a table, with 160 columns instead of rich's default of 80 if there is no terminal."""
  console = Console()
  (console if console.is_terminal else Console(width=160)).print(table)


def _format_status(run: Run) -> str:
  if run.done:
    result = read_result(run.result)
    return f"mIoU {100 * result.scores['miou']:.2f} %" if result.finished else f"diverged, step {result.step}"
  if run.lock.exists():
    try:
      if not (lock := try_lock(run)):
        return "being trained"
      lock.release()
    except OSError:
      return "unknown: the folder is read-only"
  return "interrupted" if run.workdir.exists() else "to do"


def _count_parameters(config) -> tuple[int, int]:
  """(number of parameters, number of alpha's parameters); also validates the optimizer's groups."""
  model = make_experiment(config, weights.Pretrained({}, TORCHVISION, {})).model  # the weights may be missing
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))["params"]
  make_optimizer(config.optimizer, make_schedule(config.schedule, config.steps), shapes)
  leaves: dict[tuple[str, ...], Any] = dict(flatten_dict(shapes))
  sizes = {path: leaf.size for path, leaf in leaves.items()}
  return sum(sizes.values()), sum(size for path, size in sizes.items() if "alpha" in path[1:-1])


def _find_missing(config) -> list[str]:
  """The files that a training with this config would miss on this machine."""
  problems = []
  if config.model.weights and not local_path(config.model.weights).is_file():
    problems.append(f"the weights file {config.model.weights}")
  for split in (config.data.split, config.data.eval_split):
    try:
      open_split(config, split)
    except (FileNotFoundError, ValueError, TypeError) as error:
      problems.append(f"data: {error}")
      break
  return problems
