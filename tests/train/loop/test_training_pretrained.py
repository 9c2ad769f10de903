"""Trainings from a weights file: modes of batch norm, and network options that the file determines."""

import flax
import jax
import numpy as np
import pytest
import safetensors.numpy

from configs.common import parameter_groups
from ppool_jax import models
from ppool_jax.weights import Pretrained
from ppool_jax.weights.mappings.resnet import RESNET50
from tests.helpers.training import tiny_config
from train.checkpointing.workdir import write_run_metadata
from train.data.loader import training_batches
from train.data.transforms.compose import train_transform
from train.experiment.experiment import init_variables, make_experiment, open_split
from train.experiment.run import create_train_state
from train.step.parallel import Jit, Pmap
from train.step.step import make_step

pytestmark = pytest.mark.filterwarnings("ignore:.*donated buffers.*")
flat = flax.traverse_util.flatten_dict


def after_two_steps(norm, parallel=None):
  """States at step 0 and 2 of vgg_mini, one example a device."""
  config = tiny_config("runlocal", model__norm=norm, schedule__learning_rate=0.1, schedule__warmup=0)
  config.optimizer.groups = parameter_groups(norm=norm)
  parallel, experiment = parallel or Pmap(), make_experiment(config)
  start, tx, schedule = create_train_state(experiment, config)
  step = make_step(experiment.model, experiment.preprocess, tx, schedule, parallel, normalize="pixel", seed=0)
  compiled, state = parallel.compile_step(step), parallel.place_state(jax.device_get(start))
  augment = train_transform(config.data, experiment.preprocess.mean_rgb)
  source = open_split(config, "train")
  for batch in training_batches(source, augment, batch_size=config.batch_size, seed=0, start=0, stop=2):
    state, _ = compiled(state, parallel.place_batch(batch))
  return jax.device_get(start), state


def norms(params):
  return {path: leaf for path, leaf in flat(params["backbone"]).items() if path[0].startswith("norm")}


def test_frozen_batch_norm_does_not_change():
  """Statistics, scales and biases stay; the convolutions change."""
  start, state = after_two_steps("frozen")
  jax.tree.map(np.testing.assert_array_equal, dict(start.batch_stats), dict(state.batch_stats))
  jax.tree.map(np.testing.assert_array_equal, norms(start.params), norms(state.params))
  kernels = [s.params["backbone"]["conv1_1"]["kernel"] for s in (start, state)]
  assert not np.array_equal(*kernels)


def test_local_batch_norm_averages_the_statistics():
  """Each device normalizes its own share; the running statistics are averaged over devices."""
  states = {norm: after_two_steps(norm)[1] for norm in ("local", "sync")}
  mean = states["local"].batch_stats["backbone"]["norm3_3"]["mean"]
  copies = [np.asarray(shard.data) for shard in mean.addressable_shards]
  assert len(copies) == 8
  for copy in copies[1:]:
    np.testing.assert_array_equal(copy, copies[0])
  first = [np.asarray(s.batch_stats["backbone"]["norm1_1"]["mean"]) for s in states.values()]
  np.testing.assert_allclose(first[0], first[1], rtol=0.05, atol=1e-3)
  kernels = [np.asarray(s.params["backbone"]["conv1_1"]["kernel"]) for s in states.values()]
  assert np.abs(kernels[0] - kernels[1]).max() > 1e-5


def test_local_batch_norm_needs_pmap():
  with pytest.raises(ValueError, match=r'^model.norm: "local" expects parallel="pmap"'):
    after_two_steps("local", Jit())


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory):
  """A file of a backbone with the keys of torchvision."""
  mapping, rng = RESNET50[1], np.random.default_rng(0)
  arrays = {
    param.keys[0]: rng.random(param.shape, np.float32)
    for param in mapping.params
    if not param.classifier and not param.optional
  }
  path = tmp_path_factory.mktemp("weights") / "resnet50.safetensors"
  safetensors.numpy.save_file(arrays, path)
  return path, arrays


def test_a_weights_file_sets_options_and_statistics(resnet_file, tmp_path):
  """torchvision's weights are of v1.5; a run keeps that option without the file."""
  path, arrays = resnet_file
  config = tiny_config("runlocal", model__name="resnet50", model__weights=str(path))
  experiment = make_experiment(config)
  assert experiment.model.backbone.v1_5
  variables = init_variables(experiment, 0)
  stats = variables["batch_stats"]["backbone"]["norm1"]["var"]
  np.testing.assert_array_equal(stats, arrays["bn1.running_var"])
  kernel = variables["params"]["backbone"]["res5c_branch2c"]["kernel"]
  np.testing.assert_array_equal(kernel, arrays["layer4.2.conv3.weight"].transpose(2, 3, 1, 0))
  write_run_metadata(tmp_path, config, experiment.weights)
  assert '"v1_5": true' in (tmp_path / "weights.json").read_text()
  again = make_experiment(config, Pretrained({}, experiment.preprocess, {"v1_5": True}))
  assert again.model == experiment.model


def test_options_of_the_config_override_those_of_the_file(resnet_file):
  path, _ = resnet_file
  changes = {"model__name": "resnet50", "model__weights": str(path), "model__output_stride": 8}
  config = tiny_config("runlocal", **changes)
  config.model.options = {"v1_5": False}
  backbone = make_experiment(config).model.backbone
  assert (backbone.v1_5, backbone.output_stride) == (False, 8)
  with pytest.raises(TypeError, match="output_strid"):
    models.backbone("resnet50", output_strid=8)
