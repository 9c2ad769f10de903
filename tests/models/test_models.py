"""Networks: parameters and shapes, alignment of the logits, precision, initial values, gradients."""

import functools
import itertools

import chex
import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppool_jax as pp
from ppool_jax import models
from ppool_jax.models.heads.linear import FullyConvolutionalHead, LinearHead
from tests.helpers.layers import TILES, X, alpha_of, of_shapes, random_branch

IMAGE = jax.random.uniform(jax.random.key(7), (4, 9, 17, 3), minval=-1)
KEY = jax.random.key(0, impl="rbg")  # compiles four times faster than the default
flat = functools.partial(flax.traverse_util.flatten_dict, sep="/")


def tiny(pool="max", head=None):
  """A segmenter of stride 4 with four channels, for what does not depend on the widths."""
  backbone = models.VGG(stages=((4, 2), (4, 1), (4, 1)), pool_strides=(2, 2, 1), pool=pool)
  return models.Segmenter(backbone, head or LinearHead(3), "pool3")


def shapes(module):
  variables = jax.eval_shape(module.init, KEY, jnp.zeros((1, 32, 32, 3)))
  assert set(variables) == {"params"}
  return {path: leaf.shape for path, leaf in flat(variables["params"]).items()}


def started(model):
  return jax.jit(model.init)(KEY, IMAGE)


def run(model, variables, image=IMAGE, **kwargs):
  return jax.jit(functools.partial(model.apply, **kwargs))(variables, image)


WIDTHS = ((3, 64, 64), (64, 128, 128), (128, *[256] * 3), (256, *[512] * 3), (512, *[512] * 3))
VGG16 = {f"conv{s}_{i}": p for s, w in enumerate(WIDTHS, 1) for i, p in enumerate(itertools.pairwise(w), 1)}


def test_vgg16_parameters():
  """conv1_1 to conv5_3 and nothing else: 14,714,688; five branches are under 0.08 % of them."""
  expected = {f"{name}/kernel": (3, 3, *pair) for name, pair in VGG16.items()}
  expected |= {f"{name}/bias": pair[1:] for name, pair in VGG16.items()}
  found = shapes(models.backbone("vgg16", pool="max"))
  assert found == expected
  assert sum(map(np.prod, found.values())) == 14_714_688
  more = shapes(models.backbone("vgg16", pool="ppool"))
  branches = {path: shape for path, shape in more.items() if path not in found}
  assert {path.rsplit("/", 1)[0] for path in branches} == {f"pool{s}/alpha" for s in range(1, 6)}
  assert branches["pool4/alpha/depthwise"] == (2, 2, 512)
  assert sum(map(np.prod, branches.values())) < 0.0008 * 14_714_688
  head = shapes(models.build("vgg16", 7, head="fc"))
  assert head["head/fc6/kernel"] == (3, 3, 512, 1024)
  assert head["head/fc7/kernel"] == (1, 1, 1024, 1024)
  assert head["head/classifier/kernel"] == (1, 1, 1024, 7)
  assert shapes(models.build("vgg16", 7))["head/classifier/kernel"] == (1, 1, 512, 7)


def test_vgg16_features():
  """Every stage halves, pool5 keeps conv5's size: stride 16."""
  backbone = models.backbone("vgg16")
  image = jnp.zeros((2, 64, 48, 3))
  features = jax.eval_shape(lambda x: backbone.init_with_output(jax.random.key(0), x)[0], image)
  sizes = [(64, 48, 64), (32, 24, 128), (16, 12, 256), (8, 6, 512), (4, 3, 512)]
  expected = {f"conv{s}": (2, *size) for s, size in enumerate(sizes, 1)}
  expected |= {f"pool{s}": (2, h // 2, w // 2, c) for s, (h, w, c) in enumerate(sizes[:4], 1)}
  chex.assert_trees_all_equal_shapes_and_dtypes(features, of_shapes(expected | {"pool5": (2, 4, 3, 512)}))
  assert backbone.output_stride == 16


def test_features_are_what_their_names_say():
  """conv is the ReLU of each convolution with bias; pool its 2x2 maximum, also at the edge of stride 1."""
  model, x = tiny(), IMAGE[:, :8, :16]
  params = jax.tree.map(lambda p: p + 0.1, started(model)["params"]["backbone"])
  features = jax.tree.map(np.asarray, run(model.backbone, {"params": params}, x))
  for name in ("conv1_1", "conv1_2"):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = np.concatenate([padded[:, i : i + 8, j : j + 16] for i in range(3) for j in range(3)], -1)
    kernel, bias = (np.asarray(params[name][part]) for part in ("kernel", "bias"))
    x = np.maximum(taps @ kernel.reshape(-1, 4) + bias, 0)
  chex.assert_trees_all_close(features["conv1"], x, rtol=1e-4, atol=1e-5, strict=True)
  tiles = features["conv1"].reshape(4, 4, 2, 8, 2, 4)
  chex.assert_trees_all_equal(features["pool1"], tiles.max((2, 4)), strict=True)
  last = np.pad(features["conv3"], ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge")
  largest = np.max([last[:, i : i + 2, j : j + 4] for i in (0, 1) for j in (0, 1)], 0)
  chex.assert_trees_all_equal(features["pool3"], largest, strict=True)


def test_pools_by_stage():
  """A dict replaces the stages it names alone; a stage that does not exist is refused by name."""
  found = shapes(models.backbone("vgg16", pool={"pool3": "ppool", "default": "max"}))
  assert {path.split("/")[0] for path in found if "alpha" in path} == {"pool3"}
  assert found["pool3/alpha/bias"] == (256,)
  for pool, words in (
    ({"pool6": "ppool", "default": "max"}, r"pool1.*pool5.*got 'pool6'"),
    ({"pool3": "ppool"}, r"'pool1'.*default"),
  ):
    with pytest.raises(ValueError, match=f"^pool: .*{words}"):
      shapes(models.backbone("vgg16", pool=pool))


@pytest.mark.parametrize(
  ("args", "options", "message"),
  [
    (("vgg_16", 3), {}, r"^network: .*vgg16, .*vgg_mini.*'vgg_16'.*did you mean 'vgg"),
    (("vgg_min", 3), {}, r"^network: .*'vgg_min' \(did you mean 'vgg_mini'\?\)$"),
    (("vgg16", 3), {"head": "linaer"}, r"^head: .*'linaer' \(did you mean 'linear'\?\)$"),
    (("vgg16", 3), {"head": "zzz"}, r"^head: expected one of linear, fc.*, got 'zzz'$"),
    (("vgg16", 0), {}, r"^num_classes: expected at least 1, got 0$"),
  ],
)
def test_unknown_names(args, options, message):
  with pytest.raises(ValueError, match=message):
    models.build(*args, **options)


@pytest.mark.parametrize("size", [(45, 60), (17, 33), (1, 16), (64, 48)])
def test_logits_have_the_images_size(size):
  for name in ("vgg16", "vgg_mini", "resnet50"):
    model = models.build(name, 7, pool="ppool", head="fc", dtype=jnp.bfloat16)
    image = jnp.zeros((2, *size, 3), jnp.float32)
    logits = jax.eval_shape(lambda x, model=model: model.init_with_output(jax.random.key(0), x)[0], image)
    chex.assert_shape(logits, (2, *size, 7))
    chex.assert_type(logits, jnp.float32)


def test_odd_sizes_stay_aligned():
  """Logits are the crop of those of the image padded with zeros below and to the right."""
  model = tiny("ppool")
  variables = started(model)
  whole = run(model, variables, np.pad(IMAGE, ((0, 0), (0, 3), (0, 3), (0, 0))))
  chex.assert_shape(whole, (4, 12, 20, 3))
  chex.assert_trees_all_close(run(model, variables), whole[:, :9, :17], rtol=1e-5, atol=1e-7, strict=True)
  assert np.ptp(whole) > 1e-3


class HalfResolutionHead(LinearHead):
  """Gives a score for every second cell."""

  def __call__(self, x, train=False, example_index=None):
    return super().__call__(x[:, ::2, ::2])


def test_shapes_are_asserted_while_tracing():
  """What has no shape that can be meant is refused before anything runs, by the argument's name."""
  for image, message in ((IMAGE[0], r"\(9, 17, 3\).*images: expected \[N, H, W, 3\]"),
                         (IMAGE[..., :1], r"\(4, 9, 17, 1\).*images: expected \[N, H, W, 3\]")):  # fmt: skip
    with pytest.raises(AssertionError, match=message):
      jax.eval_shape(tiny().init, KEY, image)
  with pytest.raises(AssertionError, match=r"3, 5\).*2, 3\).*scores: expected the resolution of 'pool3'"):
    jax.eval_shape(tiny(head=HalfResolutionHead(3)).init, KEY, IMAGE)
  with pytest.raises(AssertionError, match=r"rank 3 .*scores: expected \[N, h, w, C\]"):
    models.upsample(IMAGE[0], 2)
  with pytest.raises(AssertionError, match=r"int32.*scores: expected a floating dtype"):
    models.upsample(IMAGE.astype(int), 2)


@pytest.mark.parametrize("factor", [2, 3, 16])
def test_upsampling_is_bilinear_with_half_pixel_centres(factor):
  """Pixel i reads at (i + 1/2) / factor - 1/2, clamped to the edge."""
  scores = np.random.default_rng(0).normal(size=(1, 3, 4, 2)).astype(np.float32)

  def along(x, axis):
    size = x.shape[axis]
    at = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
    low = np.minimum(at.astype(int), size - 2)
    share = (at - low).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    return np.take(x, low, axis) * (1 - share) + np.take(x, low + 1, axis) * share

  expected = along(along(scores, 1), 2)
  chex.assert_trees_all_close(models.upsample(jnp.array(scores), factor), expected, rtol=1e-5, atol=1e-6)


@functools.cache
def mini(pool):
  """vgg_mini's logits and the parameters it starts from."""
  model = models.build("vgg_mini", 3, pool=pool)
  return jax.jit(model.init_with_output)(KEY, IMAGE)


@pytest.mark.parametrize("pool", pp.POOLS)
def test_every_pool_in_a_network(pool):
  """Finite logits; and whatever the pool, convolutions and head begin as with max pooling."""
  logits, variables = mini(pool)
  chex.assert_shape(logits, (*IMAGE.shape[:3], 3))
  chex.assert_tree_all_finite((logits, variables))
  assert np.ptp(logits) > 1e-3
  first, found = (flat(v["params"]) for v in (mini("max")[1], variables))
  chex.assert_trees_all_equal({path: found[path] for path in first}, first, strict=True)
  assert all("/pool" in path for path in set(found) - set(first))


def test_bfloat16():
  """Computed in bfloat16, from float32 parameters to float32 logits."""
  model = models.build("vgg_mini", 3, pool="ppool", dtype=jnp.bfloat16)
  high, variables = mini("ppool")
  chex.assert_type(jax.tree.leaves(jax.eval_shape(model.init, KEY, IMAGE)), jnp.float32)
  backbone = models.backbone("vgg16", dtype=jnp.bfloat16)
  features = jax.eval_shape(lambda: backbone.init_with_output(KEY, jnp.zeros((1, 32, 32, 3)))[0])
  chex.assert_type(jax.tree.leaves(features), jnp.bfloat16)
  low = run(model, variables)
  chex.assert_type(low, jnp.float32)
  assert 0 < np.max(np.abs(low - high)) < 0.03 * np.max(np.abs(high))


def test_dropout_depends_on_the_key_and_the_place():
  """Not on the batching: halves with their example_index are the whole. Without `train` there is none."""
  model = tiny(head=FullyConvolutionalHead(3, features=8))
  variables = started(model)

  @jax.jit
  def dropped(x, example_index, seed):
    rngs = {"dropout": jax.random.key(seed)}
    return model.apply(variables, x, train=True, example_index=example_index, rngs=rngs)

  whole = dropped(IMAGE, None, 1)
  for pair in ([0, 1], [2, 3]):
    half = dropped(IMAGE[jnp.array(pair)], jnp.array(pair), 1)
    chex.assert_trees_all_close(half, whole[jnp.array(pair)], rtol=1e-5, atol=1e-7, strict=True)
  same = dropped(IMAGE[jnp.array([0, 0])], jnp.array([0, 5]), 1)
  still = run(model, variables)
  for other in (same[1], dropped(IMAGE[:2], jnp.array([0, 1]), 2)[0], still[0]):
    assert not np.allclose(same[0], other)
  chex.assert_trees_all_equal(run(model, variables, rngs={"dropout": KEY}), still, strict=True)
  with pytest.raises(flax.errors.InvalidRngError):
    jax.eval_shape(functools.partial(model.apply, train=True), variables, IMAGE)


def test_dropout_keeps_the_mean():
  """Half the units are 0, the others doubled; fc6 and fc7 drop different ones."""
  head, x = FullyConvolutionalHead(2, features=64), jnp.ones((4, 3, 3, 4))
  params = jax.eval_shape(head.init, KEY, x)["params"]
  params = jax.tree.map(lambda p: jnp.full(p.shape, float(p.ndim == 1)), params)
  captured = {"capture_intermediates": True, "mutable": ["intermediates"]}
  seen = run(head, {"params": params}, x, train=True, rngs={"dropout": jax.random.key(0)}, **captured)[1]
  six, seven = (seen["intermediates"][f"fc{i}_dropout"]["__call__"][0] for i in (6, 7))
  for units in (six, seven):
    assert set(np.unique(units)) == {0.0, 2.0}
    assert np.mean(units) == pytest.approx(1, abs=0.1)
  assert 0.4 < np.mean(six == seven) < 0.6


def test_gradients_reach_every_parameter():
  """The branch's last kernel starts at zero, so what lies before it has no gradient at the first step."""
  model = models.build("vgg_mini", 3, pool=("ppool", {"alpha": "log_side_branch"}))
  variables = mini("ppool")[1]
  params = jax.tree.map_with_path(  # the same parameters as the paper's branch, but for where alpha starts
    lambda path, p: p * 0 + np.log(3) if "['alpha']['bias']" in jax.tree_util.keystr(path) else p,
    variables["params"],
  )
  gradient = jax.jit(jax.grad(lambda p: jnp.sum(model.apply({**variables, "params": p}, IMAGE) ** 2)))
  moved = jax.tree.map_with_path(lambda path, p: p + 0.1 * ("pointwise" in str(path)), params)
  for at, still in ((params, ("depthwise", "prelu")), (moved, ())):
    found = gradient(at)
    chex.assert_tree_all_finite(found)
    chex.assert_trees_all_equal_shapes_and_dtypes(found, at)
    for path, g in flat(found).items():
      assert np.any(g) != path.endswith(still), path


@pytest.mark.parametrize(("alpha", "initial", "ends"), [
  ("side_branch", 20, (0, 35)), ("log_side_branch", 3, (0, 110)), ("channel", 3, (0, 110)),
  ("layer", 3, (0, 110)), (("side_branch", {"initial": 5.0}), 5, (0, 35)), (2.5, 2.5, (0, np.inf)),
])  # fmt: skip
def test_alpha_by_name(alpha, initial, ends):
  """alpha starts where its name says; "alpha_range" holds the range's ends, and is no variable."""
  model = tiny({"pool2": ("ppool", {"alpha": alpha}), "default": "max"})
  variables = started(model)
  assert set(variables) <= {"params"}
  _, sown = run(model, variables, mutable=["intermediates", "alpha_range"])
  np.testing.assert_array_equal(sown["alpha_range"]["backbone"]["pool2"]["ends"], ends)
  np.testing.assert_allclose(sown["intermediates"]["backbone"]["pool2"]["alpha"][0], initial, rtol=1e-5)


@pytest.mark.parametrize(("alpha", "error", "words"), [
  ("side_brunch", ValueError, r"log_side_branch, channel, layer, .*got 'side_brunch'"),
  (("channel", {"capp": 1}), TypeError, r"'channel' takes initial, per, range, cap, got 'capp'"),
])  # fmt: skip
def test_unknown_alphas(alpha, error, words):
  with pytest.raises(error, match=f"^alpha: .*{words}"):
    shapes(tiny(("ppool", {"alpha": alpha})))


def test_normalised_branch_sees_no_scale():
  """x is divided by 1 + the largest magnitude in its example and channel."""
  normal, plain = (pp.PolynomialPool(*TILES, alpha=functools.partial(pp.SideBranch, normalise=n))
                   for n in (True, False))  # fmt: skip
  params = random_branch()
  alpha = alpha_of(normal, params, 1e4 * X)[0]
  np.testing.assert_allclose(alpha_of(normal, params, 1e7 * X)[0], alpha, rtol=1e-2)
  assert not np.allclose(alpha_of(normal, params, X)[0], alpha, rtol=1e-2)
  scaled = -X / (1 + np.max(np.abs(X), (1, 2), keepdims=True))
  np.testing.assert_allclose(alpha_of(normal, params, -X)[0], alpha_of(plain, params, scaled)[0], rtol=1e-4)
