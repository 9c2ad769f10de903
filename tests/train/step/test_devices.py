"""Parameters are equal on one device, on eight, with each backend, in parts, and in two processes."""

import chex
import jax
import pytest

from tests.helpers.processes import command, finish, launch
from tests.helpers.sweeps import sweep
from tests.helpers.training import OneDevice, TinyTraining, furthest, tiny_config
from train.experiment.run import open_run
from train.step.parallel import Jit, Pmap, backend

pytestmark = pytest.mark.filterwarnings("ignore:.*donated buffers.*")

STEPS = 6
# SGD, as Adam divides by the gradient's size and makes the rounding of one near zero a whole step.
SGD = {f"optimizer.groups.{group}.optimizer": "sgd" for group in ("kernel", "head", "alpha", "rest")}
SHARED = {
  "optimizer.clip_norm": 1.0,
  "schedule.learning_rate": 0.005,
  "steps": STEPS,
  "checkpoint.every": 0,
  "data.crop": (16, 24),
  **SGD,
}
# The argument and the changes of a config. A single P-pooling layer compiles in a fifth of the time of five.
NETWORKS = {
  "vgg16": ("pool=ppool,pool_stages=pool2", {"model.name": "vgg16", "model.width": 0.125}),
  # With dropout and synchronized batch norm.
  "vgg_mini": ("pool=ppool", {"model.head": "fc"}),
}


def named(changes):
  return {key.replace(".", "__"): value for key, value in {**SHARED, **changes}.items()}


def tiny_training(arg, changes):
  return TinyTraining(tiny_config(f"runlocal,{arg}", **named(changes)))


@pytest.fixture(scope="module", params=NETWORKS)
def one(request):
  """The run of one device: the training, its parameters and last metrics, and a bound on differences.

  Parameters that begin one float32 rounding (2e-7) apart are `rounding` apart in the end; other orders
  of summation may do no more than four times that.
  """
  training = tiny_training(*NETWORKS[request.param])
  params, metrics = training.after(OneDevice, STEPS)
  rounding = furthest(params, training.after(OneDevice, STEPS, perturbation=2e-7)[0])
  moved = furthest(params, training.initial_params)
  assert rounding < 5e-3 * moved
  print(f"{request.param}: moved {moved:.2g}, a rounding becomes {rounding:.2g}")
  return training, params, metrics, 4 * rounding


@pytest.fixture(scope="module")
def eight(one):
  """Parameters and last metrics on eight devices, by backend."""
  return {parallel: one[0].after(parallel, STEPS) for parallel in (Pmap, Jit)}


def test_eight_devices_equal_one(one, eight):
  _, params, metrics, bound = one
  for found, others in eight.values():
    chex.assert_trees_all_equal_shapes_and_dtypes((found, others), (params, metrics))
    assert furthest(params, found) <= bound
    chex.assert_trees_all_close(others, metrics, rtol=1e-2, atol=1e-5)
  assert furthest(eight[Pmap][0], eight[Jit][0]) <= bound


@pytest.mark.optimized
def test_pmap_and_jit_agree_to_the_bit_without_batch_norm():
  """As users compile. With batch norm they sum its statistics in another order."""
  training = tiny_training(*NETWORKS["vgg16"])
  pmap, jit = (training.after(parallel, STEPS)[0] for parallel in (Pmap, Jit))
  chex.assert_trees_all_equal(pmap, jit, strict=True)


@pytest.mark.parametrize("parallel", ["pmap", sweep("jit")])
def test_two_processes_of_four_devices_equal_one(one, tmp_path, parallel):
  training, params, _, bound = one
  arg, changes = NETWORKS[training.config.model.name]
  words = command(tmp_path, f"runlocal,{arg}", **named(changes), parallel=parallel)
  for status, output in finish(launch([words, words], devices=4)):
    assert status == 0, output
  found = open_run(tmp_path)
  assert found.step == STEPS
  assert furthest(params, found.variables["params"]) <= bound


@pytest.fixture(scope="module")
def large_batch():
  """The training of a batch of 16, with dropout, which depends on the example and not on the part."""
  arg, changes = NETWORKS["vgg16"]
  return tiny_training(arg, {**changes, "model.head": "fc", "batch_size": 16})


@pytest.mark.parametrize("parallel", [sweep(OneDevice), Pmap, Jit])
def test_gradient_accumulation_equals_one_batch(parallel, large_batch):
  """Without batch norm equal to rounding."""
  params, metrics = large_batch.after(parallel, STEPS)
  bound = 4 * furthest(params, large_batch.after(parallel, STEPS, perturbation=2e-7)[0])
  found, others = large_batch.after(parallel, STEPS, grad_accum_steps=2)
  chex.assert_trees_all_equal_shapes_and_dtypes((found, others), (params, metrics))
  assert furthest(params, found) <= bound
  chex.assert_trees_all_close(others, metrics, rtol=1e-2, atol=1e-5)


def test_accumulated_batch_norm_updates_once_a_part():
  """The running statistics of four equal parts change as in four steps."""
  training = tiny_training("pool=max", {"batch_size": 8, "schedule.learning_rate": 0.0})
  whole, parts = (training.after(OneDevice, 1, grad_accum_steps=n)[1]["loss"] for n in (1, 4))
  chex.assert_tree_all_finite((whole, parts))
  assert abs(whole - parts) > 1e-6


def test_batches_that_do_not_divide_are_refused():
  n = jax.device_count()
  with pytest.raises(ValueError, match=f"multiple of the {n} devices times grad_accum_steps=2, got {n}"):
    backend("pmap", n, 2)
  with pytest.raises(ValueError, match="grad_accum_steps: expected at least 1, got 0"):
    backend("pmap", n, 0)
