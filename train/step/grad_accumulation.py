"""Gradient accumulation: a batch in parts, one after another, for a batch that does not fit in memory."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


def accumulated(gradients: Callable, batch_stats, batch, parts: int, split: Callable):
  """`gradients(batch_stats, batch)`, or of the parts of a batch.

  Sums over a batch are the same however it is split, to rounding. Batch norm is not: its statistics are
  those of a part, and the running ones move with each, as if there were `parts` as many steps.

  Args:
    gradients: `(batch_stats, batch) -> (sums, batch_stats, means)`.
    batch: a tree of arrays, an example a row.
    split: `(array, parts) -> [parts, n / parts, ...]`.

  Returns:
    (sums, batch_stats, means): added up, the last ones, averaged.
  """
  if parts == 1:
    return gradients(batch_stats, batch)
  batch = jax.tree.map(lambda x: split(x, parts), batch)

  def add(carry, part):
    total, batch_stats = carry
    sums, batch_stats, means = gradients(batch_stats, part)
    return (jax.tree.map(jnp.add, total, sums), batch_stats), means

  first = jax.tree.map(lambda x: x[0], batch)
  shapes = jax.eval_shape(gradients, batch_stats, first)[0]
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  (sums, batch_stats), means = jax.lax.scan(add, (zeros, batch_stats), batch)
  return sums, batch_stats, jax.tree.map(lambda x: x.mean(0), means)
