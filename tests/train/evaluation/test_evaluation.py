"""The evaluation of a set: each image once on any devices, bounded memory, what is printed and stored."""

import tracemalloc

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from ppool_jax import metrics
from tests.helpers.evaluation import RAW, examples, pixelwise
from tests.helpers.training import OneDevice, tiny_config
from train.data.classes import IGNORE
from train.evaluation.batching import batches_by_size
from train.evaluation.best_worst import BestWorstImages
from train.evaluation.evaluate import evaluate
from train.evaluation.evaluator import SegmentationEvaluator
from train.evaluation.predictor import Predictor, enable_compilation_cache, predict_dataset
from train.experiment.experiment import init_variables, make_experiment
from train.step.parallel import BACKENDS

SIZES = [(33, 47), (40, 50), (33, 47), (32, 48), (40, 50), (33, 47), (33, 47), (33, 47)]
CACHE = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


class Drawn:
  """A set of any length whose images are made when they are asked for."""

  def __init__(self, count, size):
    self._count, self._size = count, size

  def __len__(self):
    return self._count

  def __getitem__(self, index):
    return examples([self._size(index)], seed=index)[0]


@pytest.mark.parametrize("parallel", ["one", "pmap", "jit"])
def test_the_counts_are_those_of_images_one_by_one(parallel, monkeypatch):
  """vgg_mini at sizes that do not divide, in groups that fill neither batch nor devices."""
  config = tiny_config(eval__batch_size=2)
  experiment = make_experiment(config)
  variables = init_variables(experiment, 0)
  source = examples(SIZES, classes=9)
  monkeypatch.setitem(BACKENDS, "one", OneDevice)
  config.parallel = parallel
  found = evaluate(experiment, variables, source, config)
  apply = jax.jit(lambda images: experiment.model.apply(variables, experiment.preprocess(images)))
  expected = sum(
    metrics.confusion(example["label"], apply(example["image"][None])[0].argmax(-1), 9) for example in source
  )
  assert found.dtype == np.int64
  assert found.sum() == sum((example["label"] != IGNORE).sum() for example in source)
  assert np.abs(found - expected).sum() <= 4  # ties in the last bit
  assert (np.diagonal(expected) > 0).sum() > 1


def test_a_program_a_size():
  """However many images of a size come together."""
  experiment, variables = pixelwise()
  source = examples([*SIZES, (20, 30)])
  config = tiny_config(eval__batch_size=3)
  evaluate(experiment, variables, source, config)
  assert len(set(experiment.model.traces)) == 4
  experiment.model.traces.clear()
  predict = Predictor(experiment, config)
  for count in (2, 5, 1, 9, 17):
    images = np.stack([source[0]["image"]] * count)
    assert predict(variables, images).shape == (count, 33, 47)
  assert predict.batch_sizes == {(33, 47): 8}, "2 images fill up to the 8 devices"
  assert len(set(experiment.model.traces)) == 1


def test_every_image_once_and_few_waiting():
  """Whatever the bound; above it the group that came first goes on."""
  sizes = [(4, 4), (4, 6), (4, 4), (4, 4), (4, 6), (2, 2), (4, 4)]  # of 64, 96 and 16 bytes
  source = examples(sizes)
  for limit, expected in (
    (10**6, [[0, 2], [1, 4], [3, 6], [5]]),
    (100, [[0], [1], [2, 3], [4], [5], [6]]),
    (0, [[0], [1], [2], [3], [4], [5], [6]]),
  ):
    ids = [
      [int(e["id"][-3:]) for e in batch] for batch in batches_by_size(source, 2, max_buffered_bytes=limit)
    ]
    assert ids == expected
  assert [len(batch) for batch in batches_by_size(source, 3, multiple=8)] == [3, 3, 1]
  unlabelled = [{"id": "x", "image": np.zeros((4, 4, 3), np.uint8)}]
  assert list(batches_by_size(unlabelled, 3)) == [unlabelled]


def test_waiting_images_do_not_add_up():
  """Every image of another size: without the bound, all would wait for others."""

  def peak(count, limit):
    source = Drawn(count, lambda index: (40 + index // 50, 40 + index % 50))
    return peak_memory(
      lambda: sum(len(b) for b in batches_by_size(source, 4, max_buffered_bytes=limit)), count
    )

  assert peak(200, 10**5) < 1.2 * peak(100, 10**5)
  assert peak(200, 10**9) > 1.8 * peak(100, 10**9), "the measurement sees what waits"


def peak_memory(work, expected):
  tracemalloc.start()
  try:
    assert work() == expected
    return tracemalloc.get_traced_memory()[1]
  finally:
    tracemalloc.stop()


def test_memory_does_not_grow_with_the_set():
  """Everything on: boundaries, trimaps, pictures of the extremes, two sizes."""
  experiment, variables = pixelwise()
  config = tiny_config(eval__batch_size=4)

  def work(count):
    source = Drawn(count, lambda index: (60, 60 + 20 * (index % 2)))
    evaluator, images = SegmentationEvaluator(RAW, 0.02, (1, 2)), BestWorstImages(2, RAW)
    for example, prediction in predict_dataset(experiment, variables, source, config):
      images.add(example, prediction, metrics.mean_iou(evaluator.update(example["label"], prediction)))
    return evaluator.confusion.any() and count

  work(8)  # what is compiled and imported is not counted
  small, large = (peak_memory(lambda count=count: work(count), count) for count in (16, 96))
  assert large < 1.1 * small


def test_a_second_evaluation_compiles_nothing(tmp_path):
  """Programs are kept in config.compilation_cache, unless JAX has a cache already."""
  experiment, variables = pixelwise()
  config = tiny_config(compilation_cache=str(tmp_path / "kept"))
  source = examples(SIZES)
  events = []
  before = {name: getattr(jax.config, name) for name in CACHE}
  jax.monitoring.register_event_listener(note := lambda event, **_: events.append(event))
  try:
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    jax.block_until_ready(jax.jit(lambda x: x + 1)(1.0))  # as when training came first, without a cache
    first = evaluate(experiment, variables, source, config)
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "kept")
    assert events.count("/jax/compilation_cache/cache_misses") >= 3
    jax.clear_caches()
    events.clear()
    np.testing.assert_array_equal(evaluate(experiment, variables, source, config), first)
    assert events.count("/jax/compilation_cache/cache_hits") >= 3
    assert not events.count("/jax/compilation_cache/cache_misses")
    enable_compilation_cache(str(tmp_path / "another"))
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "kept"), "what is set already stays"
  finally:
    jax.monitoring.unregister_event_listener(note)
    for name, value in before.items():
      jax.config.update(name, value)
    compilation_cache.reset_cache()
