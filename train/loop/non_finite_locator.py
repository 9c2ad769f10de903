"""Locates the first non-finite value of a rejected step: computes the step again and checks every layer."""

from __future__ import annotations

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.extend.core import get_opaque_trace_state

from train.data.classes import IGNORE
from train.step.step import dropout_key, make_loss


class NonFiniteLocator:
  """Computes a step again, without gradient accumulation, and counts the non-finite values everywhere.

  Args:
    model, preprocess, tx, parallel, seed: as for `train.step.step.make_step`.
  """

  def __init__(self, model, preprocess, tx, parallel, seed: int):
    self._loss, self._tx, self._parallel = make_loss(model, preprocess, parallel), tx, parallel
    self._seed, self._layers = seed, []
    self._compiled = parallel.compile_step(self._repeat_step)

  def __call__(self, state, batch: dict, step: int) -> tuple:
    """Returns (state, findings) of the step that follows `step` steps; the state's buffers are donated.

    Args:
      state: before the step.
      batch: {"image", "label"} as the loader gives them.

    Returns:
      The state as it was, and {"layers", "loss", "parameters", "gradients", "results"}: lists of (name,
      number of non-finite values, largest finite magnitude), the layers in the order of the forward pass.
      results are parameters and running statistics after the step.
    """
    examples = len(batch["label"])
    inputs = {"image": batch["image"], "label": batch["label"], "step": np.full(examples, step, np.int32)}
    state, stats = self._compiled(state, self._parallel.place_batch(inputs))
    layers, trees = jax.device_get(stats)
    flat = {name: flax.traverse_util.flatten_dict(tree, sep="/") for name, tree in trees.items()}
    findings = {name: [(path, *_to_host(s)) for path, s in tree.items()] for name, tree in flat.items()}
    by_layer = [(name, *_to_host(s)) for name, s in zip(self._layers, layers, strict=True)]
    return state, {"layers": by_layer, **findings}

  def _repeat_step(self, state, batch):
    images, labels = batch["image"], batch["label"]
    count = jnp.maximum(self._parallel.sum(jnp.sum(labels != IGNORE)), 1)
    part = images, labels, self._parallel.example_index(images.shape[0])
    grad = jax.value_and_grad(self._loss_with_stats, has_aux=True)
    key = dropout_key(self._seed, batch["step"][0])
    (loss, (batch_stats, layers)), grads = grad(state.params, state.batch_stats, part, key, count)
    grads = self._parallel.sum(grads)
    updates, _ = self._tx.update(grads, state.opt_state, state.params)
    results = {"params": optax.apply_updates(state.params, updates), "batch_stats": batch_stats}
    trees = {"parameters": state.params, "gradients": grads, "results": results}
    stats = {name: jax.tree.map(_finite_stats, tree) for name, tree in trees.items()}
    stats["loss"] = {"loss": _finite_stats(self._parallel.sum(loss))}
    return state, ([self._over_devices(s) for s in layers], stats)

  def _loss_with_stats(self, *arguments):
    """The loss; aux is (batch_stats, statistics of every layer's output)."""
    self._layers, stats = [], []
    trace = get_opaque_trace_state()

    def record(call, args, kwargs, context):
      output = call(*args, **kwargs)
      # Values inside an inner transformation, such as `nn.remat`, cannot leave it; its output is recorded.
      if context.method_name == "__call__" and get_opaque_trace_state() == trace:
        self._layers.append("/".join(context.module.path) or "logits")
        stats.append(_finite_stats(output))
      return output

    with nn.intercept_methods(record):
      loss, (_, _, batch_stats) = self._loss(*arguments)
    return loss, (batch_stats, stats)

  def _over_devices(self, stats):
    """The statistics over the global batch, from those of each device."""
    bad, largest = stats
    axis = self._parallel.axis_name
    return self._parallel.sum(bad), jax.lax.pmax(largest, axis) if axis else largest


def _finite_stats(tree) -> tuple[jax.Array, jax.Array]:
  """(number of non-finite values, largest finite magnitude)."""
  leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
  finite = [jnp.isfinite(x) for x in leaves]
  bad = sum((jnp.sum(~f) for f in finite), jnp.zeros((), int))
  sizes = [jnp.max(jnp.where(f, jnp.abs(x), 0), initial=0) for f, x in zip(finite, leaves, strict=True)]
  return bad, jnp.max(jnp.stack([jnp.float32(0), *(size.astype(jnp.float32) for size in sizes)]))


def _to_host(stats) -> tuple[int, float]:
  return int(stats[0]), float(stats[1])


def first_non_finite(findings: dict) -> dict | None:
  """The first non-finite value: {"kind", "layer"}, or None where everything is finite.

  kind is "parameter" (of `layer`, before the step), "activation" (the output of `layer`), "loss" (None),
  "gradient" (of a parameter of `layer`, the one nearest the loss, where the backward pass meets it
  first) or "update" (what the step makes of a parameter or running statistic).
  """
  bad = {name: [path for path, count, _ in entries if count] for name, entries in findings.items()}
  order = {layer: index for index, (layer, _, _) in enumerate(findings["layers"])}

  def position(path: str) -> int:
    return order.get(path.rpartition("/")[0], len(order))

  parameter = min(bad["parameters"], key=position, default=None)
  layer = next(iter(bad["layers"]), None)
  if parameter and (layer is None or position(parameter) <= order[layer]):
    return {"kind": "parameter", "layer": parameter}
  if layer:
    return {"kind": "activation", "layer": layer}
  if bad["loss"]:
    return {"kind": "loss", "layer": None}
  if bad["gradients"]:
    return {"kind": "gradient", "layer": max(bad["gradients"], key=position)}
  return {"kind": "update", "layer": bad["results"][0]} if bad["results"] else None
