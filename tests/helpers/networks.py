"""Shared by tests of networks: random variables, tiny networks, atrous consistency, offsets, training."""

import functools

import chex
import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ppool_jax as pp
from ppool_jax import models
from ppool_jax.models.heads import LinearHead

KEY = jax.random.key(0, impl="rbg")  # compiles four times faster than the default
IMAGES = jax.random.uniform(jax.random.key(7), (4, 9, 17, 3), minval=-1)
flat = functools.partial(flax.traverse_util.flatten_dict, sep="/")


def count(tree):
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def abstract(module, size=(1, 64, 64, 3)):
  """The shapes of a module's variables."""
  return jax.eval_shape(module.init, KEY, jnp.zeros(size))


def abstract_output(module, size):
  """The shapes of a module's output for images of a size [N, H, W, 3]."""
  return jax.eval_shape(lambda x: module.init_with_output(KEY, x)[0], jnp.zeros(size))


def parameter_shapes(module):
  """The shapes of a module's parameters by path; it has no other variables."""
  variables = abstract(module, (1, 32, 32, 3))
  assert set(variables) == {"params"}
  return {path: leaf.shape for path, leaf in flat(variables["params"]).items()}


def initialize(module, images=IMAGES):
  """A module's initial variables."""
  return jax.jit(module.init)(KEY, images)


def apply(module, variables, images=IMAGES, **kwargs):
  """A module's output, compiled."""
  return jax.jit(functools.partial(module.apply, **kwargs))(variables, images)


def tiny(pool="max", head=None):
  """A segmenter of stride 4 with four channels, for properties that do not depend on the widths."""
  backbone = models.VGG(stages=((4, 2), (4, 1), (4, 1)), pool_strides=(2, 2, 1), pool=pool)
  return models.Segmenter(backbone, head or LinearHead(3), "pool3")


@functools.cache
def mini(pool):
  """The logits of vgg_mini and its initial variables."""
  model = models.build("vgg_mini", 3, pool=pool)
  return jax.jit(model.init_with_output)(KEY, IMAGES)


def subsample(window_shape, strides, padding, name):
  """A factory of pools that take every stride-th position."""
  return lambda x: x[:, :: strides[0], :: strides[1]]


def varied(module, images, seed=0):
  """Random variables of a module, whose statistics, scales and biases differ from 0 and 1."""
  rng = np.random.default_rng(seed)

  def draw(path, leaf):
    if leaf.ndim > 1:
      return (rng.standard_normal(leaf.shape) * np.sqrt(2 / np.prod(leaf.shape[:-1]))).astype(np.float32)
    if path[-1].key in ("scale", "var"):
      return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
    return (0.1 * rng.standard_normal(leaf.shape)).astype(np.float32)

  return jax.tree.map_with_path(draw, abstract(module, images.shape))


def relative(actual, expected):
  """The largest difference relative to the largest value."""
  actual, expected = np.asarray(actual), np.asarray(expected)
  chex.assert_equal_shape([actual, expected])
  return np.abs(actual - expected).max() / np.abs(expected).max()


def check_atrous(name, size, strides, pool, bound=1e-5, **options):
  """Checks that features at small output strides, subsampled, are those at the largest one."""
  images = np.random.default_rng(1).standard_normal((1, size, size, 3)).astype(np.float32)
  make = functools.partial(models.backbone, name, pool, **options)
  variables, last = varied(make(), images), make().last_feature
  features = {s: jax.jit(make(output_stride=s).apply)(variables, images)[last] for s in strides}
  sparse = features[max(strides)]
  assert sparse.shape[1] > 1
  for stride, dense in features.items():
    step = max(strides) // stride
    assert dense.shape[1] >= step * (sparse.shape[1] - 1) + 1
    subsampled = dense[:, ::step, ::step][:, : sparse.shape[1], : sparse.shape[2]]
    assert relative(subsampled, sparse) < bound, stride


def constant_weights(module, images):
  """Averaging kernels and identity batch norm: every position of a feature is a weighted sum of pixels."""

  def fill(path, leaf):
    kind = path[-1].key
    if leaf.ndim > 1:
      return np.full(leaf.shape, 1 / np.prod(leaf.shape[:-1]), np.float32)
    return np.full(leaf.shape, kind in ("scale", "var"), np.float32)

  return jax.tree.map_with_path(fill, abstract(module, images.shape))


def check_offsets(module, size, names):
  """Checks that the receptive field of a position is centered on the pixel that the sampling grid gives."""
  images = jnp.ones((1, size, size, 3))
  variables = constant_weights(module, images)

  @functools.partial(jax.jit, static_argnums=1)
  def influence(x, name):
    def middle(x):
      feature = module.apply(variables, x)[name]
      return feature[0, feature.shape[1] // 2, feature.shape[2] // 2].sum(), feature.shape[1] // 2

    (_, position), gradient = jax.value_and_grad(middle, has_aux=True)(x)
    return gradient[0].sum((1, 2)), position

  for name in names:
    weight, position = influence(images, name)
    weight = np.asarray(weight)
    assert weight[0] == weight[-1] == 0, f"{name}: the image is smaller than the receptive field"
    center = (weight * np.arange(size)).sum() / weight.sum()
    grid = module.grids[name]
    assert abs(center - (grid.offset + grid.stride * position)) < 1e-2, (name, center, grid, position)


def seen_by_polynomial_pools(model, images):
  """(name, smallest input, shift) of every P-pooling layer, in order."""
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
  """Training losses of Adam on four images of random patches, two of them brighter.

  Batch norm needs the patches: on uniform images the loss of a deep network is not monotone.
  """
  rng = np.random.default_rng(seed)
  bright = np.array([0, 1, 0, 1]).reshape(4, 1, 1)
  patches = rng.normal(0, 1, (4, size // 8, size // 8, 3)).repeat(8, 1).repeat(8, 2)
  images = (patches + bright[..., None] - 0.5).astype(np.float32)
  labels = jnp.asarray(np.broadcast_to(bright, (4, size, size)))
  variables = jax.jit(model.init)(KEY, images)
  params, stats = variables["params"], variables.get("batch_stats", {})
  tx = optax.flatten(optax.adam(rate))  # one update of one array compiles faster

  def loss_of(params, stats, key):
    variables, rngs = {"params": params, "batch_stats": stats}, {"dropout": key}
    logits, sown = model.apply(variables, images, train=True, rngs=rngs, mutable=["batch_stats"])
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return loss, sown.get("batch_stats", {})

  chex.clear_trace_counter()  # It counts the steps of all models as one function.

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
