"""Planning one slice: the step for a batch there, and the largest batch that fits."""

from __future__ import annotations

import time

import jax

from train.planning.chips import chip_of
from train.planning.compiled import Measures
from train.planning.programs import Programs
from train.planning.report import Plan
from train.planning.search import largest_that_fits
from train.planning.topology import devices_of


def prepare_jax() -> None:
  """To be called first: planning touches no device, and what it compiles cannot be read from a cache.

  JAX would write programs for absent devices to its persistent cache, and warn when it reads them.
  """
  jax.config.update("jax_platforms", "cpu")
  jax.config.update("jax_enable_compilation_cache", False)


# From one image to the limit, memory grows to this part of a straight line or more: a search begins beyond.
_LEAST_GROWTH = 1 / 8


def plan_slice(
  programs: Programs, config, topology: str, batch: int, search: bool = False, likely: int | None = None
) -> Plan:
  """The plan of one slice, kept in `programs`. Shows what it compiles.

  Args:
    config: of the training; its own batch does not matter.
    topology: such as "v5e:4x8".
    batch: images a chip, a multiple of `config.grad_accum_steps`.
    search: for the largest batch.
    likely: images a chip that it may be, such as the answer for another slice of the chip.

  Raises:
    ValueError: no such slice, or a batch that does not divide into its parts.
  """
  chips, measured, parts = len(devices_of(topology)), {}, config.grad_accum_steps
  if batch % parts:
    raise ValueError(f"images a chip: expected a multiple of grad_accum_steps={parts}, got {batch}")

  def memory_of(images: int) -> int | None:
    if images not in measured:
      measured[images] = _shown(programs, config, topology, images)
    return measured[images] and measured[images].memory

  first, largest = memory_of(batch), None
  if search:
    beyond = chip_of(topology).memory * batch / first / _LEAST_GROWTH if first else batch
    start = max(1, int(likely or beyond) // parts)
    largest = parts * largest_that_fits(lambda count: memory_of(parts * count) is not None, start)
  plan = Plan(topology, chips, batch, measured[batch], largest)
  programs.keep(config, plan.as_dict())
  return plan


def _shown(programs: Programs, config, topology: str, images: int) -> Measures | None:
  print(f"{topology}: compiling for {images} a chip ...", flush=True)
  started = time.monotonic()
  found = programs.measure(config, topology, images)
  fits = f"{found.memory / 1e9:.2f} GB a chip" if found else "does not fit"
  print(f"{topology}: {images} a chip: {fits} ({time.monotonic() - started:.0f} s)", flush=True)
  return found


def share_of(config, topology: str) -> int:
  """Images a chip: `config.batch_size` over the chips; where it does not divide, the least, which is said."""
  chips = len(devices_of(topology))
  share, rest = divmod(config.batch_size, chips * config.grad_accum_steps)
  if rest:
    least = config.grad_accum_steps
    print(
      f"{topology}: batch {config.batch_size} does not divide over {chips} chips: planned with {least} a chip"
    )
  return config.grad_accum_steps * (1 if rest else share)
