"""One training step: loss, gradients summed over the global batch, update, metrics."""

from __future__ import annotations

from typing import Any

import chex
import flax.struct
import jax
import jax.numpy as jnp
import optax

from ppool_jax import models
from train.data.classes import IGNORE
from train.step.alpha_stats import alpha_statistics
from train.step.grad_accumulation import accumulate_gradients
from train.step.update_guard import DEFAULT, UpdateGuard

NORMALIZATIONS = ("pixel", "image")


class TrainState(flax.struct.PyTreeNode):
  """What a step updates and a checkpoint holds.

  Attributes:
    step: int32, number of steps done.
    params: the model's parameters.
    batch_stats: running statistics of batch norm, empty without.
    opt_state: of the optimizer.
    guard: of `UpdateGuard`.
  """

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: Any
  guard: Any = flax.struct.field(default_factory=DEFAULT.initial_state)


def make_step(
  model,
  preprocess,
  tx,
  schedule,
  parallel,
  *,
  normalize: str,
  seed: int,
  grad_accum_steps: int = 1,
  guard: UpdateGuard = DEFAULT,
):
  """Returns the function `(state, batch) -> (state, metrics)` for `parallel.compile_step`.

  Args:
    model: a segmenter.
    preprocess: uint8 images to the model's input.
    tx, schedule: the optimizer and its learning rate by step, of `train.step.optimizer`.
    parallel: the backend, which sums over the global batch.
    normalize: "pixel", the mean over all valid pixels of the global batch, or "image", the sum over
      an image's pixels averaged over the images, which the paper's learning rates are for.
    seed: of dropout, which depends on (seed, step, index of the example in the global batch).
    grad_accum_steps: parts of a device's share that are computed one after another, to save memory; see
      `train.step.grad_accumulation`.
    guard: rejects updates that are not finite; `state.guard` is of `guard.initial_state()`.

  A batch is {"image", "label"}: uint8 `[N, H, W, 3]` and integers `[N, H, W]`. With `data.on_corrupt="skip"`
  it also has "replaced", of `train.data.corrupt`, whose sum is a metric. The new state has the shapes and
  dtypes of the old one.

  Raises:
    ValueError: an unknown normalization; "local" batch norm where devices' shares are not known.
    AssertionError: while the step is traced, a batch or a new state of other shapes or dtypes.
  """
  if normalize not in NORMALIZATIONS:
    raise ValueError(f"loss.normalize: expected one of {', '.join(NORMALIZATIONS)}, got {normalize!r}")
  loss_of = make_loss(model, preprocess, parallel)
  local = model.backbone.norm == "local"

  def step(state: TrainState, batch):
    images, labels = batch["image"], batch["label"]
    chex.assert_shape(images, (None, None, None, 3), custom_message="image: expected [N, H, W, 3]")
    chex.assert_shape(labels, images.shape[:3], custom_message="label: expected [N, H, W] of the images")
    chex.assert_type(labels, int, custom_message="label: expected integers")
    valid = parallel.sum(jnp.sum(labels != IGNORE))
    count = jnp.maximum(valid, 1) if normalize == "pixel" else parallel.sum(images.shape[0])
    key = dropout_key(seed, state.step)
    grad = jax.value_and_grad(loss_of, has_aux=True)

    def gradients(batch_stats, part):
      (loss, (hits, alpha, batch_stats)), grads = grad(state.params, batch_stats, part, key, count)
      return (loss, hits, grads), batch_stats, alpha

    whole = images, labels, parallel.example_index(images.shape[0])
    (loss, hits, grads), batch_stats, alpha = accumulate_gradients(
      gradients, state.batch_stats, whole, grad_accum_steps, parallel.split
    )
    chex.assert_rank([loss, hits], 0)
    grads = parallel.sum(grads)
    if local:
      # Averaged over the devices, so that every device evaluates the same model.
      batch_stats = jax.tree.map(lambda x: parallel.sum(x) / parallel.sum(1), batch_stats)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    metrics = {
      "loss": parallel.sum(loss),
      "pixel_accuracy": parallel.sum(hits) / jnp.maximum(valid, 1),
      "learning_rate": schedule(state.step),
      "gradient_norm": optax.tree.norm(grads),
      **jax.tree.map(lambda x: parallel.sum(x) / parallel.sum(1), alpha),
      **({"replaced": parallel.sum(batch["replaced"].sum())} if "replaced" in batch else {}),
    }
    params = optax.apply_updates(state.params, updates)
    rejected, guard_state, guard_metrics = guard.check(state.guard, metrics, (params, batch_stats))
    new_state = TrainState(state.step + 1, params, batch_stats, opt_state, guard_state)
    new_state = guard.select(rejected, state, new_state)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, new_state)  # else the next step would be retraced
    return new_state, {**metrics, **guard_metrics}

  return step


def make_loss(model, preprocess, parallel):
  """Returns the function `(params, batch_stats, (images, labels, example_index), key, count) -> (loss, aux)`.

  The loss is the sum over the pixels divided by `count`; aux is (hits, alpha, batch_stats): the number of
  pixels that are right, `alpha_statistics`, and the new running statistics.

  Raises:
    ValueError: "local" batch norm where devices' shares are not known.
  """
  if model.backbone.norm == "local" and not parallel.axis_name:
    raise ValueError(
      'model.norm: "local" expects parallel="pmap": "jit" sees one global batch, whatever devices hold it'
    )
  model = models.sync_batch_norm(model, parallel.axis_name)

  def loss_of(params, batch_stats, part, key, count):
    images, labels, example_index = part
    logits, sown = model.apply(
      {"params": params, "batch_stats": batch_stats},
      preprocess(images),
      train=True,
      example_index=example_index,
      rngs={"dropout": key},
      mutable=["intermediates", "alpha_range", "batch_stats"],
    )
    loss = pixel_losses(logits, labels).sum() / count
    hits = jnp.sum((logits.argmax(-1) == labels) & (labels != IGNORE))
    alpha = alpha_statistics(sown, model.backbone, images.shape[1:3])
    return loss, (hits, alpha, sown.get("batch_stats", {}))

  return loss_of


def dropout_key(seed: int, step: jax.typing.ArrayLike) -> jax.Array:
  """The dropout key of the step that follows `step` steps."""
  return jax.random.fold_in(random_key(seed), step)


def random_key(seed: int) -> jax.Array:
  """A threefry key: unlike "rbg" keys, its numbers do not depend on how calls are batched."""
  return jax.random.key(seed, impl="threefry2x32")


def pixel_losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Softmax cross entropy, float32 `[N, H, W]`, 0 where the label is ignored.

  Args:
    logits: `[N, H, W, K]`.
    labels: integers `[N, H, W]`, 0..K-1 or 255.

  Raises:
    AssertionError: logits of another rank, or labels of another shape.
  """
  chex.assert_rank(logits, 4, custom_message="logits: expected [N, H, W, K]")
  chex.assert_shape(labels, logits.shape[:3], custom_message="labels: expected [N, H, W] of the logits")
  valid = labels != IGNORE
  losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(valid, labels, 0).astype(int))
  return jnp.where(valid, losses, 0)
