"""What a study would train, and what it has trained: `--dry-run` and `--list`."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from ppool_jax import models
from train.data.registry import get_dataset
from train.experiment.experiment import DTYPES, open_split
from train.experiment.pooling_config import build_pool_spec
from train.step.optimizer import make_optimizer, make_schedule
from train.studies.definition import Study, Variant
from train.studies.result import read_result
from train.studies.runs import Run, try_lock


def print_runs(runs: Sequence[Run]) -> None:
  """A line for each run: its index, and what has become of it."""
  table = Table("index", "variant", "seed", "status")
  for index, run in enumerate(runs):
    table.add_row(str(index), run.variant.name, str(run.seed), _status(run))
  _print(table)


def print_plan(study: Study, variants: Sequence[Variant], runs: Sequence[Run]) -> None:
  """Builds every variant without computing anything, and prints what it is and what its training would miss.

  Raises:
    ValueError, TypeError, ImportError: a variant that cannot be built; it is named.
  """
  seeds = list(dict.fromkeys(run.seed for run in runs))
  table = Table("variant", "compared with", "network", "pooling", "parameters", "of alpha", "steps", "batch")
  missing = {}
  for variant in variants:
    config = study.config(variant, seeds[0])
    try:
      parameters, of_alpha = _count(config)
    except (ValueError, TypeError, ImportError) as error:
      raise type(error)(f"variant {variant.name!r}: {error}") from error
    pooling = (
      config.pool if not config.pool_stages else f"{' '.join(config.pool_stages)}, rest {config.pool_rest}"
    )
    cells = (config.model.name, pooling, f"{parameters:,}", f"{of_alpha:,}", config.steps, config.batch_size)
    table.add_row(variant.name, study.baseline_of(variant) or "–", *map(str, cells))  # noqa: RUF001
    for problem in _missing(config):
      missing.setdefault(problem, []).append(variant.name)
  _print(table)
  print(
    f"{study.name}: {len(runs)} runs, {len(variants)} variants with the seeds {', '.join(map(str, seeds))}"
  )
  for problem, names in missing.items():
    print(f"missing for {'all variants' if len(names) == len(variants) else ', '.join(names)}: {problem}")


def _print(table: Table) -> None:
  """Prints a table, wider than a log's usual 80 columns where there is no terminal."""
  console = Console()
  (console if console.is_terminal else Console(width=160)).print(table)


def _status(run: Run) -> str:
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


def _count(config) -> tuple[int, int]:
  """Parameters of a variant's network, and those of its alpha sources; its optimizer groups are checked."""
  table = get_dataset(config.data.name).class_table(**config.data.options)
  stride = config.model.output_stride
  options = {**({"output_stride": stride} if stride else {}), **config.model.options}
  model = models.build(
    config.model.name, table.num_classes, pool=build_pool_spec(config), head=config.model.head or None,
    dtype=DTYPES[config.dtype], norm=config.model.norm, width=config.model.width, **options,
  )  # fmt: skip
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))["params"]
  make_optimizer(config.optimizer, make_schedule(config.schedule, config.steps), shapes)
  sizes = {
    "/".join(str(key.key) for key in path): leaf.size
    for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)
  }
  return sum(sizes.values()), sum(size for path, size in sizes.items() if "/alpha/" in path)


def _missing(config) -> list[str]:
  """What a training of this config would not find on this machine."""
  problems = []
  if config.model.weights and not pathlib.Path(config.model.weights).is_file():
    problems.append(f"the weights file {config.model.weights}")
  for split in (config.data.split, config.data.eval_split):
    try:
      open_split(config, split)
    except (FileNotFoundError, ValueError, TypeError) as error:
      problems.append(f"data: {error}")
      break
  return problems
