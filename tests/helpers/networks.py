"""What the tests of the networks share: varied variables, where a cell looks, a few steps of training."""

import functools

import chex
import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ppool_jax as pp
from ppool_jax import models

KEY = jax.random.key(0, impl="rbg")  # compiles four times faster than the default
flat = functools.partial(flax.traverse_util.flatten_dict, sep="/")


def count(tree):
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def abstract(module, size=(1, 64, 64, 3)):
  """The shapes of a module's variables."""
  return jax.eval_shape(module.init, KEY, jnp.zeros(size))


def varied(module, images, seed=0):
  """Variables of a module with statistics, scales and biases away from 0 and 1."""
  rng = np.random.default_rng(seed)

  def draw(path, leaf):
    if leaf.ndim > 1:
      return (rng.standard_normal(leaf.shape) * np.sqrt(2 / np.prod(leaf.shape[:-1]))).astype(np.float32)
    if path[-1].key in ("scale", "var"):
      return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
    return (0.1 * rng.standard_normal(leaf.shape)).astype(np.float32)

  return jax.tree.map_with_path(draw, abstract(module, images.shape))


def relative(actual, expected):
  """The largest difference over the largest value."""
  actual, expected = np.asarray(actual), np.asarray(expected)
  chex.assert_equal_shape([actual, expected])
  return np.abs(actual - expected).max() / np.abs(expected).max()


def check_atrous(name, size, strides, pool, bound=1e-5, **options):
  """The features of fewer strides, subsampled, are those of all strides (deeplab2's property)."""
  images = np.random.default_rng(1).standard_normal((1, size, size, 3)).astype(np.float32)
  make = functools.partial(models.backbone, name, pool, **options)
  variables, last = varied(make(), images), make().last_feature
  features = {s: jax.jit(make(output_stride=s).apply)(variables, images)[last] for s in strides}
  sparse = features[max(strides)]
  assert sparse.shape[1] > 1
  for stride, dense in features.items():
    step = max(strides) // stride
    assert dense.shape[1] >= step * (sparse.shape[1] - 1) + 1
    thinned = dense[:, ::step, ::step][:, : sparse.shape[1], : sparse.shape[2]]
    assert relative(thinned, sparse) < bound, stride


def constant_weights(module, images):
  """Kernels that add up what they see, batch norm that changes nothing: a cell is a sum of pixels."""

  def fill(path, leaf):
    kind = path[-1].key
    if leaf.ndim > 1:
      return np.full(leaf.shape, 1 / np.prod(leaf.shape[:-1]), np.float32)
    return np.full(leaf.shape, kind in ("scale", "var"), np.float32)

  return jax.tree.map_with_path(fill, abstract(module, images.shape))


def check_offsets(module, size, names):
  """The pixels that a cell depends on are centred where its grid says."""
  images = jnp.ones((1, size, size, 3))
  variables = constant_weights(module, images)

  @functools.partial(jax.jit, static_argnums=1)
  def influence(x, name):
    def middle(x):
      feature = module.apply(variables, x)[name]
      return feature[0, feature.shape[1] // 2, feature.shape[2] // 2].sum(), feature.shape[1] // 2

    (_, cell), gradient = jax.value_and_grad(middle, has_aux=True)(x)
    return gradient[0].sum((1, 2)), cell

  for name in names:
    weight, cell = influence(images, name)
    weight = np.asarray(weight)
    assert weight[0] == weight[-1] == 0, f"{name}: the image is smaller than what a cell sees"
    centre = (weight * np.arange(size)).sum() / weight.sum()
    grid = module.grids[name]
    assert abs(centre - (grid.offset + grid.stride * cell)) < 1e-2, (name, centre, grid, cell)


def seen_by_polynomial_pools(model, images):
  """(name, smallest input, shift) of every P-pool, in order."""
  seen = []

  def watch(next_call, args, kwargs, context):
    if isinstance(context.module, pp.PolynomialPool) and context.method_name == "__call__":
      low = args[0].min()
      jax.debug.callback(
        lambda low, name=context.module.name, shift=context.module.shift: seen.append(
          (name, float(low), shift)
        ),
        low,
      )
    return next_call(*args, **kwargs)

  variables = varied(model, images)
  with flax.linen.intercept_methods(watch):
    jax.block_until_ready(jax.jit(model.apply)(variables, images))
  jax.effects_barrier()
  return seen


def losses(model, rate, steps=6, size=64, seed=0):
  """Training losses on four images of coloured patches, two darker and two brighter, by Adam.

  Batch norm needs the variety: with 16 positions of plain images a deep network's loss jumps.
  """
  rng = np.random.default_rng(seed)
  bright = np.array([0, 1, 0, 1]).reshape(4, 1, 1)
  patches = rng.normal(0, 1, (4, size // 8, size // 8, 3)).repeat(8, 1).repeat(8, 2)
  images = (patches + bright[..., None] - 0.5).astype(np.float32)
  labels = jnp.asarray(np.broadcast_to(bright, (4, size, size)))
  variables = jax.jit(model.init)(KEY, images)
  params, stats, tx = variables["params"], variables.get("batch_stats", {}), optax.adam(rate)

  def loss_of(params, stats, key):
    variables, rngs = {"params": params, "batch_stats": stats}, {"dropout": key}
    logits, sown = model.apply(variables, images, train=True, rngs=rngs, mutable=["batch_stats"])
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return loss, sown.get("batch_stats", {})

  chex.clear_trace_counter()  # which counts the steps of all models as one function

  @jax.jit
  @chex.assert_max_traces(n=1)
  def step(params, stats, state, key):
    (loss, stats), grads = jax.value_and_grad(loss_of, has_aux=True)(params, stats, key)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), stats, state, loss

  state, result = tx.init(params), []
  for i in range(steps):
    params, stats, state, loss = step(params, stats, state, jax.random.key(i))
    result.append(float(loss))
  return result
