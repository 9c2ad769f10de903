"""One training step: loss, gradients summed over the global batch, update, what is logged."""

from __future__ import annotations

from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax

from ppool_jax import models
from train.accumulation import accumulated
from train.alpha import alpha_statistics
from train.data.classes import IGNORE
from train.guard import DEFAULT, Guard

NORMALISATIONS = ("pixel", "image")


class TrainState(flax.struct.PyTreeNode):
  """What a step changes and a checkpoint holds.

  Attributes:
    step: int32, steps done.
    params: the model's parameters.
    batch_stats: running statistics of batch norm, empty without.
    opt_state: the optimiser's.
    guard: `Guard`'s.
  """

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: Any
  guard: Any = flax.struct.field(default_factory=DEFAULT.initial)


def make_step(
  model,
  preprocess,
  tx,
  schedule,
  parallel,
  *,
  normalise: str,
  seed: int,
  accumulate: int = 1,
  guard: Guard = DEFAULT,
):
  """A function `(state, batch) -> (state, metrics)` for `parallel.compile_step`.

  Args:
    model: a segmenter.
    preprocess: uint8 images to the model's input.
    tx, schedule: of `train.optimizer`.
    parallel: the backend, for sums over the global batch.
    normalise: "pixel", the mean over all valid pixels of the global batch, or "image", the sum over
      an image's pixels averaged over the images, which the paper's learning rates are for.
    seed: of dropout, which depends on (seed, step, place in the global batch).
    accumulate: parts of a device's share that are computed one after another, for their memory; see
      `train.accumulation`.
    guard: what becomes of a step that is not finite; the state is of `guard.initial()`.

  A batch is {"image", "label"}; in a training also "wishes", of `train.wishes`, and by config
  "replaced", of `train.data.corrupt`, which are summed up.

  Raises:
    ValueError: an unknown normalisation; "local" batch norm where devices' shares are not known.
  """
  if normalise not in NORMALISATIONS:
    raise ValueError(f"loss.normalise: expected one of {', '.join(NORMALISATIONS)}, got {normalise!r}")
  loss_of = make_loss(model, preprocess, parallel)
  local = model.backbone.norm == "local"

  def step(state: TrainState, batch):
    images, labels = batch["image"], batch["label"]
    valid = parallel.sum(jnp.sum(labels != IGNORE))
    count = jnp.maximum(valid, 1) if normalise == "pixel" else parallel.sum(images.shape[0])
    key = dropout_key(seed, state.step)
    grad = jax.value_and_grad(loss_of, has_aux=True)

    def gradients(batch_stats, part):
      (loss, (hits, alpha, batch_stats)), grads = grad(state.params, batch_stats, part, key, count)
      return (loss, hits, grads), batch_stats, alpha

    whole = images, labels, parallel.places(images.shape[0])
    (loss, hits, grads), batch_stats, alpha = accumulated(
      gradients, state.batch_stats, whole, accumulate, parallel.split
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
      **{f"wishes/{name}": parallel.sum(x.sum()) for name, x in batch.get("wishes", {}).items()},
      **({"replaced": parallel.sum(batch["replaced"].sum())} if "replaced" in batch else {}),
    }
    params = optax.apply_updates(state.params, updates)
    held, watched, more = guard.judge(state.guard, metrics, (params, batch_stats))
    after = TrainState(state.step + 1, params, batch_stats, opt_state, watched)
    return guard.settle(held, state, after), {**metrics, **more}

  return step


def make_loss(model, preprocess, parallel):
  """A function `(params, batch_stats, (images, labels, places), key, count) -> (loss, aux)`.

  The loss is the sum over these pixels, over `count`; aux is (hits, alpha, batch_stats): the pixels that
  are right, `alpha_statistics`, and the running statistics after.

  Raises:
    ValueError: "local" batch norm where devices' shares are not known.
  """
  if model.backbone.norm == "local" and not parallel.axis_name:
    raise ValueError(
      'model.norm: "local" expects parallel="pmap": with "jit" a batch is one, whatever devices it lies on'
    )
  model = models.synchronised(model, parallel.axis_name)

  def loss_of(params, batch_stats, part, key, count):
    images, labels, places = part
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

  return loss_of


def dropout_key(seed: int, step: jax.Array) -> jax.Array:
  """Of the step after `step` steps."""
  return jax.random.fold_in(random_key(seed), step)


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
