"""Gradient accumulation: computes a batch in parts, one after another, where it does not fit in memory."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


def accumulate_gradients(gradients: Callable, batch_stats, batch, parts: int, split: Callable):
  """Calls `gradients(batch_stats, part)` on each part of a batch.

  The sums over a batch do not depend on the parts, but for rounding. Batch norm does: its statistics are
  those of a part, and the running statistics are updated by each part, as in `parts` steps.

  Args:
    gradients: `(batch_stats, batch) -> (sums, batch_stats, means)`.
    batch_stats: running statistics before the step.
    batch: a tree of arrays `[N, ...]`.
    parts: how many.
    split: `(array [N, ...], parts) -> [parts, N / parts, ...]`.

  Returns:
    (sums, batch_stats, means): added over the parts, of the last part, averaged over the parts.
  """
  if parts == 1:
    return gradients(batch_stats, batch)
  batch = jax.tree.map(lambda x: split(x, parts), batch)

  def add_part(carry, part):
    totals, batch_stats = carry
    sums, batch_stats, means = gradients(batch_stats, part)
    return (jax.tree.map(jnp.add, totals, sums), batch_stats), means

  first = jax.tree.map(lambda x: x[0], batch)
  shapes = jax.eval_shape(gradients, batch_stats, first)[0]
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  (sums, batch_stats), means = jax.lax.scan(add_part, (zeros, batch_stats), batch)
  return sums, batch_stats, jax.tree.map(lambda x: x.mean(0), means)
