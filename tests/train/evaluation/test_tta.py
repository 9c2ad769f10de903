"""Views of an image: scales, mirror images, sliding windows, padding to multiples; alone and together."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.helpers.evaluation import PixelByPixel, examples, pixelwise
from tests.helpers.training import tiny_config
from train.evaluation.batching import padded_size
from train.evaluation.predictor import Predictor
from train.evaluation.sliding_window import sliding_window, window_origins
from train.evaluation.tta import apply_tta, flip_average, make_classify_fn, multiscale_average
from train.experiment.experiment import init_variables, make_experiment

COLOR = (10, 20, 30)


@pytest.fixture(scope="module")
def network():
  """vgg_mini with random parameters: experiment, variables, `classes by pixel`, and some images."""
  experiment = make_experiment(tiny_config())
  variables = init_variables(experiment, 0)
  images = np.stack([example["image"] for example in examples([(40, 56)] * 3)])

  def probabilities(variables, images):
    return jax.nn.softmax(experiment.model.apply(variables, experiment.preprocess(images)))

  return experiment, variables, probabilities, images


def eval_config(**views):
  return tiny_config(**{f"eval__{name}": value for name, value in views.items()})


def identity(variables, images):
  """A `PredictFn` whose "probabilities" are the colors."""
  return images.astype(jnp.float32)


def mean_of_crop(variables, images):
  """A `PredictFn` that depends on the whole window."""
  return images.astype(jnp.float32) * images.mean((1, 2), keepdims=True)


def test_once_as_it_is_costs_no_softmax(network):
  """The plain path is the argmax of logits; the same through probabilities."""
  experiment, variables, probabilities, images = network
  assert apply_tta(probabilities, eval_config(), COLOR) is probabilities
  plain = make_classify_fn(experiment, eval_config())
  assert "exp" not in str(jax.make_jaxpr(plain)(variables, images))
  twice = make_classify_fn(experiment, eval_config(scales=(1.0, 1.0)))
  assert "exp" in str(jax.make_jaxpr(twice)(variables, images))
  found = jax.jit(plain)(variables, images)
  np.testing.assert_array_equal(found, probabilities(variables, images).argmax(-1))
  np.testing.assert_array_equal(found, jax.jit(twice)(variables, images))
  np.testing.assert_array_equal(
    multiscale_average(probabilities, (1.0,))(variables, images), probabilities(variables, images)
  )


def test_a_mirror_image_gives_the_mirrored_answer(network):
  _, variables, probabilities, images = network
  view = jax.jit(flip_average(probabilities))
  seen = view(variables, images)
  np.testing.assert_allclose(view(variables, images[:, :, ::-1]), seen[:, :, ::-1], atol=1e-6)
  np.testing.assert_allclose(seen.sum(-1), 1, atol=1e-5)
  symmetric = np.concatenate([images, images[:, :, ::-1]], axis=2)
  seen = view(variables, symmetric)
  np.testing.assert_allclose(seen, seen[:, :, ::-1], atol=1e-6)
  once = probabilities(variables, symmetric)
  assert np.abs(once - once[:, :, ::-1]).max() > 1e-3, "the network alone is not symmetric"


def test_scales_are_averaged_at_the_images_size():
  """A linear ramp stays one at every scale, away from the border; the sizes seen are rounded sides."""
  sizes = []

  def view(variables, images):
    sizes.append(images.shape[1:3])
    return images * len(sizes)  # tells the scales apart

  ramp = np.broadcast_to(np.arange(21.0, dtype=np.float32)[None, None, :, None], (2, 14, 21, 3))
  seen = multiscale_average(view, (0.7, 1.0, 2.0))(None, jnp.asarray(ramp))
  assert sizes == [(10, 15), (14, 21), (28, 42)]
  assert seen.shape == ramp.shape
  np.testing.assert_allclose(seen[:, :, 4:-4], ramp[:, :, 4:-4] * (1 + 2 + 3) / 3, atol=0.02)


@given(st.tuples(*[st.integers(1, 30)] * 3), st.tuples(*[st.integers(1, 30)] * 3))
def test_windows_cover_every_pixel_and_stay_inside(rows, columns):
  """For any size, window and stride: at the stride but for the last, which is moved inside."""
  size, window, stride = zip(
    *[(max(a, b), min(a, b), min(a, b, c)) for a, b, c in (rows, columns)], strict=True
  )
  origins, coverage = window_origins(size, window, stride)
  counts = np.zeros(size)
  for (y, x), row, column in itertools.product(origins, range(window[0]), range(window[1])):
    counts[y + row, x + column] += 1  # an index outside is an error
  np.testing.assert_array_equal(coverage, counts)
  assert counts.min() >= 1
  for axis in (0, 1):
    starts = sorted({corner[axis] for corner in origins.tolist()})
    assert starts[:-1] == list(range(0, size[axis] - window[axis], stride[axis]))
    assert starts[-1] == size[axis] - window[axis]


def test_windows_by_hand():
  origins, coverage = window_origins((4, 8), (4, 4), (2, 3))
  assert origins.tolist() == [[0, 0], [0, 3], [0, 4]]
  assert coverage.tolist() == [[1, 1, 1, 2, 2, 2, 2, 1]] * 4


def test_a_window_over_all_is_the_image(network):
  _, variables, probabilities, images = network
  seen = jax.jit(sliding_window(probabilities, (40, 56), (40, 56), COLOR))(variables, images)
  np.testing.assert_allclose(seen, probabilities(variables, images), atol=1e-6)


@pytest.mark.parametrize(("window", "stride"), [((4, 5), (3, 2)), ((7, 7), (7, 7)), ((3, 11), (2, 11))])
def test_windows_are_summed_and_divided_by_their_number(window, stride):
  """Against loops in float64."""
  images = np.stack([example["image"] for example in examples([(9, 13)] * 2)])
  seen = sliding_window(mean_of_crop, window, stride, COLOR)(None, images)
  total, counts = np.zeros(images.shape), np.zeros(images.shape)
  for y in sorted({*range(0, 9 - window[0], stride[0]), 9 - window[0]}):
    for x in sorted({*range(0, 13 - window[1], stride[1]), 13 - window[1]}):
      crop = images[:, y : y + window[0], x : x + window[1]].astype(float)
      total[:, y : y + window[0], x : x + window[1]] += crop * crop.mean((1, 2), keepdims=True)
      counts[:, y : y + window[0], x : x + window[1]] += 1
  np.testing.assert_allclose(seen, total / counts, rtol=1e-5)


def test_an_image_smaller_than_the_window_is_padded():
  """Below and right, with the colour; the result has the image's size."""
  image = np.full((1, 2, 3, 3), 100, np.uint8)
  seen = sliding_window(mean_of_crop, (4, 3), (4, 3), COLOR)(None, image)
  np.testing.assert_allclose(seen[0], np.broadcast_to(100 * (100 + np.array(COLOR)) / 2, (2, 3, 3)))


@pytest.mark.parametrize("parallel", ["pmap", "jit"])
def test_views_combine_on_eight_devices(network, parallel):
  """Scales of mirror images of windows: by the predictor, and by hand one image at a time."""
  experiment, variables, probabilities, images = network
  views = {"scales": (0.75, 1.25), "flip": True, "window": (32, 32), "stride": (16, 24)}
  found = Predictor(experiment, _config(parallel, views))(variables, images)
  window = sliding_window(probabilities, (32, 32), (16, 24), experiment.preprocess.mean_rgb)
  total = 0
  for size in ((30, 42), (50, 70)):
    scaled_images = jax.image.resize(images.astype(np.float32), (3, *size, 3), "linear")
    for step in (1, -1):
      seen = jax.jit(window)(variables, scaled_images[:, :, ::step])[:, :, ::step]
      total += jax.image.resize(seen, (*images.shape[:3], seen.shape[-1]), "linear") / 4
  assert found.dtype == np.uint8
  assert (found == total.argmax(-1)).mean() > 0.999  # but for ties in the last bit
  assert (found == probabilities(variables, images).argmax(-1)).mean() < 0.999


def _config(parallel, views):
  config = eval_config(**views)
  config.parallel = parallel
  return config


def test_padding_changes_nothing_for_a_network_without_context():
  experiment, variables = pixelwise()
  sizes = [(33, 47), (64, 48), (40, 16), (41, 47)]
  native = Predictor(experiment, eval_config())
  padded = Predictor(experiment, eval_config(pad_multiple=16))
  for example in examples(sizes):
    found = padded(variables, example["image"][None])
    assert found.shape == (1, *example["label"].shape)
    np.testing.assert_array_equal(found, native(variables, example["image"][None]))
  assert set(native.batch_sizes) == {*sizes}
  assert set(padded.batch_sizes) == {(48, 48), (64, 48), (48, 16)}
  assert padded_size((33, 48), 0) == (33, 48)


def test_padding_changes_only_what_sees_the_padding(network):
  """vgg_mini's pixels far from the padding are the same, those beside it are not."""
  experiment, variables, _, images = network
  image = images[:1, :33, :41]
  same = Predictor(experiment, eval_config(pad_multiple=64))(variables, image) == Predictor(
    experiment, eval_config()
  )(variables, image)
  assert same[:, :8, :8].all()
  assert 0.5 < same.mean() < 1


def test_padding_has_the_preprocessings_colour():
  """What is padded becomes zero, nearly: the colour is rounded to 8 bits."""
  experiment, variables = pixelwise()
  seen = []
  experiment = experiment._replace(model=PixelByPixel())
  experiment.model.apply = lambda variables, images: seen.append(images) or images @ variables
  with jax.disable_jit():
    make_classify_fn(experiment, eval_config(window=(8, 8), stride=(8, 8)))(
      variables, np.full((1, 2, 2, 3), 255, np.uint8)
    )
  assert np.abs(seen[-1][:, 2:]).max() < 0.02
  assert np.abs(seen[-1][:, :2, :2]).min() > 1


@pytest.mark.parametrize(
  ("views", "message"),
  [
    ({"scales": (1.0, 0.0)}, r"eval.scales: expected positive numbers, got \(1.0, 0.0\)"),
    ({"scales": ()}, r"eval.scales: expected positive numbers, got \(\)"),
    ({"window": (32, 32)}, r"eval.window, eval.stride: expected .* got \(32, 32\), \(0, 0\)"),
    ({"window": (32, 32), "stride": (16, 33)}, r"expected .* got \(32, 32\), \(16, 33\)"),
    ({"window": (0, 0), "stride": (16, 16)}, r"expected .* got \(0, 0\), \(16, 16\)"),
    ({"pad_multiple": -1}, r"eval.pad_multiple: expected at least 0, got -1"),
    ({"batch_size": 0}, r"eval.batch_size: expected at least 1, got 0"),
  ],
)
def test_what_cannot_be(views, message):
  with pytest.raises(ValueError, match=message):
    Predictor(pixelwise()[0], eval_config(**views))
