"""The confusion matrix of a data set: each image once on any devices, with bounded memory."""

import json

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from ppool_jax import metrics
from tests.helpers.evaluation import (
  CLASS_TABLE,
  GeneratedExamples,
  examples,
  peak_memory,
  pixelwise_experiment,
)
from tests.helpers.training import OneDevice, tiny_config
from train.data.classes import IGNORE
from train.evaluation.best_worst import BestWorstImages
from train.evaluation.evaluate import evaluate
from train.evaluation.evaluator import SegmentationEvaluator, summarize_confusion
from train.evaluation.predictor import Predictor, enable_compilation_cache, predict_dataset
from train.experiment.experiment import init_variables, make_experiment, open_split
from train.experiment.run import open_run
from train.step.parallel import BACKENDS

SIZES = [(33, 47), (40, 50), (33, 47), (32, 48), (40, 50), (33, 47), (33, 47), (33, 47)]

CACHE = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.mark.parametrize("parallel", ["one", "pmap", "jit"])
def test_batched_counts_equal_counts_of_single_images(parallel, monkeypatch):
  """vgg_mini at odd sizes, in groups that fill neither the batch nor the devices."""
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
  assert np.abs(found - expected).sum() <= 4  # ties by rounding
  assert (np.diagonal(expected) > 0).sum() > 1


def test_each_image_size_compiles_one_program():
  """The number of images of a size does not matter."""
  experiment, variables = pixelwise_experiment()
  source = examples([*SIZES, (20, 30)])
  config = tiny_config(eval__batch_size=3)
  evaluate(experiment, variables, source, config)
  assert len(set(experiment.model.traces)) == 4
  experiment.model.traces.clear()
  predict = Predictor(experiment, config)
  for count in (2, 5, 1, 9, 17):
    images = np.stack([source[0]["image"]] * count)
    assert predict(variables, images).shape == (count, 33, 47)
  assert predict.batch_sizes == {(33, 47): 8}, "2 images are filled up to 8 devices"
  assert len(set(experiment.model.traces)) == 1


def test_memory_does_not_grow_with_the_data_set():
  """With all features: boundaries, trimaps, best and worst images, two sizes."""
  experiment, variables = pixelwise_experiment()
  config = tiny_config(eval__batch_size=4)

  def work(count):
    source = GeneratedExamples(count, lambda index: (60, 60 + 20 * (index % 2)))
    evaluator, images = SegmentationEvaluator(CLASS_TABLE, 0.02, (1, 2)), BestWorstImages(2, CLASS_TABLE)
    for example, prediction in predict_dataset(experiment, variables, source, config):
      images.add(example, prediction, metrics.mean_iou(evaluator.update(example["label"], prediction)))
    return evaluator.confusion.any() and count

  work(8)  # excludes compilation and imports
  small, large = (peak_memory(lambda count=count: work(count), count) for count in (16, 96))
  assert large < 1.1 * small


def test_a_second_evaluation_compiles_nothing(tmp_path):
  """Programs are cached in config.compilation_cache, unless JAX has a cache already."""
  experiment, variables = pixelwise_experiment()
  config = tiny_config(compilation_cache=str(tmp_path / "kept"))
  source = examples(SIZES)
  events = []
  before = {name: getattr(jax.config, name) for name in CACHE}
  jax.monitoring.register_event_listener(note := lambda event, **_: events.append(event))
  try:
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    jax.block_until_ready(jax.jit(lambda x: x + 1)(1.0))  # as after a training without a cache
    first = evaluate(experiment, variables, source, config)
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "kept")
    assert events.count("/jax/compilation_cache/cache_misses") >= 3
    jax.clear_caches()
    events.clear()
    np.testing.assert_array_equal(evaluate(experiment, variables, source, config), first)
    assert events.count("/jax/compilation_cache/cache_hits") >= 3
    assert not events.count("/jax/compilation_cache/cache_misses")
    enable_compilation_cache(str(tmp_path / "another"))
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "kept"), "an existing cache is not replaced"
  finally:
    jax.monitoring.unregister_event_listener(note)
    for name, value in before.items():
      jax.config.update(name, value)
    compilation_cache.reset_cache()


def test_evaluation_counts_every_pixel_once_on_eight_devices(pool_runs):
  run = open_run(pool_runs / "max")
  run.config.batch_size = 2  # trained on other devices
  source = open_split(run.config, "val")
  confusion = evaluate(run.experiment, run.variables, source, run.config)
  valid = sum(int((source[i]["label"] != 255).sum()) for i in range(len(source)))
  assert confusion.sum() == valid
  stored = json.loads((pool_runs / "max" / "summary.json").read_text())
  assert summarize_confusion(confusion, run.experiment.table)["miou"] == stored["miou"]


def test_a_data_set_of_ignored_pixels_is_refused(pool_runs):
  run = open_run(pool_runs / "max")
  void = {"image": np.zeros((32, 48, 3), np.uint8), "label": np.full((32, 48), 255, np.uint8)}
  with pytest.raises(ValueError, match="every pixel of the data set is ignored"):
    evaluate(run.experiment, run.variables, [void], run.config)
