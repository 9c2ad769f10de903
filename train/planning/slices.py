"""Plans one slice: the step for a batch size, and the largest batch size that fits."""

from __future__ import annotations

import time

import jax

from train.planning.chips import lookup_chip
from train.planning.plan import Plan
from train.planning.program_cache import ProgramCache
from train.planning.program_cost import ProgramCost
from train.planning.search import find_largest_batch
from train.planning.topology import topology_devices

# From one image to the limit, memory grows by this share of a linear extrapolation or more. The search
# starts at the batch size that this bound gives, which is too large.
_MIN_GROWTH = 1 / 8


def configure_jax() -> None:
  """Configures JAX for planning; call it first.

  Planning uses no device. The persistent cache is off: JAX writes programs for absent devices to it and
  cannot read them back.
  """
  jax.config.update("jax_platforms", "cpu")
  jax.config.update("jax_enable_compilation_cache", False)


def plan_slice(
  programs: ProgramCache,
  config,
  topology: str,
  batch: int,
  search: bool = False,
  initial_guess: int | None = None,
) -> Plan:
  """Plans one slice, stores the plan in `programs` and prints what is compiled.

  Args:
    config: of the training; its own batch size is not used.
    topology: such as "v5e:4x8".
    batch: images per chip, a multiple of `config.grad_accum_steps`.
    search: whether to search for the largest batch size.
    initial_guess: images per chip at which the search starts, such as the result for another slice.

  Raises:
    ValueError: no such slice, or a batch that is no multiple of grad_accum_steps.
  """
  chips, costs, parts = len(topology_devices(topology)), {}, config.grad_accum_steps
  if batch % parts:
    raise ValueError(f"images per chip: expected a multiple of grad_accum_steps={parts}, got {batch}")

  def required_memory(images: int) -> int | None:
    if images not in costs:
      costs[images] = _measure_and_print(programs, config, topology, images)
    return costs[images] and costs[images].memory

  memory, largest = required_memory(batch), None
  if search:
    upper = lookup_chip(topology).memory * batch / memory / _MIN_GROWTH if memory else batch
    start = max(1, int(initial_guess or upper) // parts)
    largest = parts * find_largest_batch(lambda count: required_memory(parts * count) is not None, start)
  plan = Plan(topology, chips, batch, costs[batch], largest)
  programs.add_plan(config, plan.as_dict())
  return plan


def batch_per_chip(config, topology: str) -> int:
  """Divides `config.batch_size` over the chips of a slice.

  If it does not divide, this is the smallest batch, `config.grad_accum_steps`, and a line says so.
  """
  chips, parts = len(topology_devices(topology)), config.grad_accum_steps
  share, rest = divmod(config.batch_size, chips * parts)
  if not rest:
    return parts * share
  print(
    f"{topology}: batch {config.batch_size} does not divide over {chips} chips: planned with {parts} per chip"
  )
  return parts


def _measure_and_print(programs: ProgramCache, config, topology: str, images: int) -> ProgramCost | None:
  print(f"{topology}: compiling for {images} images per chip ...", flush=True)
  started = time.monotonic()
  cost = programs.measure(config, topology, images)
  result = f"{cost.memory / 1e9:.2f} GB per chip" if cost else "does not fit"
  seconds = time.monotonic() - started
  print(f"{topology}: {images} images per chip: {result} ({seconds:.0f} s)", flush=True)
  return cost
