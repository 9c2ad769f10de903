"""One training step: loss, gradients summed over the global batch, update, what is logged."""

from __future__ import annotations

from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax

from ppool_jax import models
from train.alpha import alpha_statistics
from train.data.classes import IGNORE

NORMALISATIONS = ("pixel", "image")


class TrainState(flax.struct.PyTreeNode):
  """What a step changes and a checkpoint holds.

  Attributes:
    step: int32, steps done.
    params: the model's parameters.
    batch_stats: running statistics of batch norm, empty without.
    opt_state: the optimiser's.
  """

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: Any


def make_step(model, preprocess, tx, schedule, parallel, *, normalise: str, seed: int):
  """A function `(state, batch) -> (state, metrics)` for `parallel.compile_step`.

  Args:
    model: a segmenter.
    preprocess: uint8 images to the model's input.
    tx, schedule: of `train.optimizer`.
    parallel: the backend, for sums over the global batch.
    normalise: "pixel", the mean over all valid pixels of the global batch, or "image", the sum over
      an image's pixels averaged over the images, which the paper's learning rates are for.
    seed: of dropout, which depends on (seed, step, place in the global batch).

  Raises:
    ValueError: an unknown normalisation; "local" batch norm where devices' shares are not known.
  """
  if normalise not in NORMALISATIONS:
    raise ValueError(f"loss.normalise: expected one of {', '.join(NORMALISATIONS)}, got {normalise!r}")

  local = model.backbone.norm == "local"
  if local and not parallel.axis_name:
    raise ValueError(
      'model.norm: "local" expects parallel="pmap": with "jit" a batch is one, whatever devices it lies on'
    )
  model = models.synchronised(model, parallel.axis_name)

  def loss_of(params, batch_stats, images, labels, key, count):
    places = parallel.places(images.shape[0])
    logits, sown = model.apply(
      {"params": params, "batch_stats": batch_stats},
      preprocess(images),
      train=True,
      places=places,
      rngs={"dropout": key},
      mutable=["intermediates", "alpha_range", "batch_stats"],
    )
    loss = pixel_losses(logits, labels).sum() / count
    hits = jnp.sum((logits.argmax(-1) == labels) & (labels != IGNORE))
    return loss, (hits, alpha_statistics(sown), sown.get("batch_stats", {}))

  def step(state: TrainState, batch):
    images, labels = batch["image"], batch["label"]
    valid = parallel.sum(jnp.sum(labels != IGNORE))
    count = jnp.maximum(valid, 1) if normalise == "pixel" else parallel.sum(images.shape[0])
    key = jax.random.fold_in(random_key(seed), state.step)
    grad = jax.value_and_grad(loss_of, has_aux=True)
    (loss, (hits, alpha, batch_stats)), grads = grad(
      state.params, state.batch_stats, images, labels, key, count
    )
    grads = parallel.sum(grads)
    if local:
      # The running statistics are those of all devices, so that every device evaluates the same model.
      batch_stats = jax.tree.map(lambda x: parallel.sum(x) / parallel.sum(1), batch_stats)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    metrics = {
      "loss": parallel.sum(loss),
      "pixel_accuracy": parallel.sum(hits) / jnp.maximum(valid, 1),
      "learning_rate": schedule(state.step),
      "gradient_norm": optax.tree.norm(grads),
      **jax.tree.map(lambda x: parallel.sum(x) / parallel.sum(1), alpha),
    }
    params = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, params, batch_stats, opt_state), metrics

  return step


def random_key(seed: int) -> jax.Array:
  """A key whose numbers do not depend on how they are batched, as those of JAX's "rbg" keys do."""
  return jax.random.key(seed, impl="threefry2x32")


def pixel_losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Softmax cross entropy, float32 `[N, H, W]`, zero where the label is ignored.

  Args:
    logits: `[N, H, W, K]`.
    labels: integers `[N, H, W]`, 0..K-1 or 255.
  """
  valid = labels != IGNORE
  losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(valid, labels, 0).astype(int))
  return jnp.where(valid, losses, 0)
