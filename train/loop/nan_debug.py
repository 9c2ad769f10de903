"""Where a step went wrong: the same step again, with every layer's output and every gradient looked at."""

from __future__ import annotations

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.extend.core import get_opaque_trace_state

from train.data.classes import IGNORE
from train.step.step import dropout_key, make_loss


class Diagnosis:
  """Computes a step again, in one part, and says where the first value is that is not finite.

  Args:
    model, preprocess, tx, parallel, seed: as for `make_step`.
  """

  def __init__(self, model, preprocess, tx, parallel, seed: int):
    self._loss_of, self._tx, self._parallel = make_loss(model, preprocess, parallel), tx, parallel
    self._seed, self._layers = seed, []

  def __call__(self, state, batch: dict, step: int) -> tuple:
    """(state, findings) of the step after `step` steps; the state's buffers are reused.

    Args:
      batch: {"image", "label"} as the loader gives them.

    Returns:
      The state as it was, and {"layers", "loss", "parameters", "gradients", "results"}: lists of (name, how
      many values are not finite, largest finite magnitude), the layers in the order of the forward pass.
      results are parameters and running statistics after the step.
    """
    compiled = self._parallel.compile_step(lambda state, batch: self._again(state, batch, step))
    batch = self._parallel.place_batch({key: batch[key] for key in ("image", "label")})
    state, found = compiled(state, batch)
    layers, trees = jax.device_get(found)
    named = {name: flax.traverse_util.flatten_dict(tree, sep="/") for name, tree in trees.items()}
    findings = {name: [(path, *_plain(look)) for path, look in tree.items()] for name, tree in named.items()}
    seen = [(name, *_plain(look)) for name, look in zip(self._layers, layers, strict=True)]
    return state, {"layers": seen, **findings}

  def _again(self, state, batch, step: int):
    images, labels = batch["image"], batch["label"]
    count = jnp.maximum(self._parallel.sum(jnp.sum(labels != IGNORE)), 1)
    part = images, labels, self._parallel.example_index(images.shape[0])
    grad = jax.value_and_grad(self._watched, has_aux=True)
    key = dropout_key(self._seed, step)
    (loss, (batch_stats, layers)), grads = grad(state.params, state.batch_stats, part, key, count)
    grads = self._parallel.sum(grads)
    updates, _ = self._tx.update(grads, state.opt_state, state.params)
    results = {"params": optax.apply_updates(state.params, updates), "batch_stats": batch_stats}
    trees = {"parameters": state.params, "gradients": grads, "results": results}
    looks = {name: jax.tree.map(_look, tree) for name, tree in trees.items()}
    looks["loss"] = {"loss": _look(self._parallel.sum(loss))}
    return state, ([self._everywhere(look) for look in layers], looks)

  def _watched(self, *arguments):
    self._layers, looks = [], []
    trace = get_opaque_trace_state()

    def watch(call, args, kwargs, context):
      output = call(*args, **kwargs)
      # What lies within a transformation of its own, as in `nn.remat`, is looked at where it comes out.
      if context.method_name == "__call__" and get_opaque_trace_state() == trace:
        self._layers.append("/".join(context.module.path) or "logits")
        looks.append(_look(output))
      return output

    with nn.intercept_methods(watch):
      loss, (_, _, batch_stats) = self._loss_of(*arguments)
    return loss, (batch_stats, looks)

  def _everywhere(self, look):
    """Of the global batch, from each device's."""
    bad, largest = look
    axis = self._parallel.axis_name
    return self._parallel.sum(bad), jax.lax.pmax(largest, axis) if axis else largest


def _look(tree) -> tuple[jax.Array, jax.Array]:
  """How many values are not finite, and the largest finite magnitude."""
  leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
  finite = [jnp.isfinite(x) for x in leaves]
  bad = sum((jnp.sum(~f) for f in finite), jnp.zeros((), int))
  sizes = [jnp.max(jnp.where(f, jnp.abs(x), 0), initial=0) for f, x in zip(finite, leaves, strict=True)]
  return bad, jnp.max(jnp.stack([jnp.float32(0), *(size.astype(jnp.float32) for size in sizes)]))


def _plain(look) -> tuple[int, float]:
  return int(look[0]), float(look[1])


def first_not_finite(findings: dict) -> dict | None:
  """What went wrong first: {"kind", "layer"}, or None where all is finite.

  kind is "parameter" (of `layer`, before the step), "activation" (the output of `layer`), "loss" (None),
  "gradient" (of a parameter of `layer`, the one nearest the loss, where the backward pass meets it
  first) or "update" (what the step makes of a parameter or running statistic).
  """
  bad = {name: [path for path, count, _ in found if count] for name, found in findings.items()}
  order = {layer: place for place, (layer, _, _) in enumerate(findings["layers"])}

  def place(path: str) -> int:
    return order.get(path.rpartition("/")[0], len(order))

  parameter = min(bad["parameters"], key=place, default=None)
  layer = next(iter(bad["layers"]), None)
  if parameter and (layer is None or place(parameter) <= order[layer]):
    return {"kind": "parameter", "layer": parameter}
  if layer:
    return {"kind": "activation", "layer": layer}
  if bad["loss"]:
    return {"kind": "loss", "layer": None}
  if bad["gradients"]:
    return {"kind": "gradient", "layer": max(bad["gradients"], key=place)}
  return {"kind": "update", "layer": bad["results"][0]} if bad["results"] else None
