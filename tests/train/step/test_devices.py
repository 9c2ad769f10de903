"""Parameters are equal on one device, on eight, with each backend, in parts, and in two processes."""

import chex
import jax
import pytest

from tests.helpers.processes import command, finish, launch
from tests.helpers.training import OneDevice, furthest, parameters_after, tiny_config
from train.experiment.experiment import make_experiment
from train.experiment.run import create_train_state, open_run
from train.step.parallel import Jit, Pmap, backend

pytestmark = pytest.mark.filterwarnings("ignore:.*donated buffers.*")

STEPS = 50
# SGD, as Adam divides by the gradient's size and makes the rounding of one near zero a whole step.
SGD = {f"optimizer.groups.{group}.optimizer": "sgd" for group in ("kernel", "head", "alpha", "rest")}
SHARED = {
  "optimizer.clip_norm": 1.0,
  "schedule.learning_rate": 0.005,
  "steps": STEPS,
  "checkpoint.every": 0,
  **SGD,
}
NETWORKS = {
  "vgg16": {"model.name": "vgg16", "model.width": 0.125},
  # With dropout and synchronized batch norm.
  "vgg_mini": {"model.head": "fc"},
}


def named(changes):
  return {key.replace(".", "__"): value for key, value in {**SHARED, **changes}.items()}


@pytest.fixture(scope="module", params=NETWORKS)
def one(request):
  """The run of one device: the config's changes, parameters, last metrics, and a bound on differences.

  Parameters that begin one float32 rounding (2e-7) apart are `rounding` apart in the end; other orders
  of summation may do no more than twice that.
  """
  changes = named(NETWORKS[request.param])
  config = tiny_config("runlocal,pool=ppool", **changes)
  params, metrics = parameters_after(OneDevice(), config, STEPS)
  rounding = furthest(params, parameters_after(OneDevice(), config, STEPS, perturbation=2e-7)[0])
  moved = furthest(params, create_train_state(make_experiment(config), config)[0].params)
  assert rounding < 5e-3 * moved
  print(f"{request.param}: moved {moved:.2g}, a rounding becomes {rounding:.2g}")
  return changes, config, params, metrics, 2 * rounding


@pytest.fixture(scope="module")
def eight(one):
  """Parameters and last metrics on eight devices, by backend."""
  return {parallel: parameters_after(parallel(), one[1], STEPS) for parallel in (Pmap, Jit)}


def test_eight_devices_equal_one(one, eight):
  _, _, params, metrics, bound = one
  for found, others in eight.values():
    chex.assert_trees_all_equal_shapes_and_dtypes((found, others), (params, metrics))
    assert furthest(params, found) <= bound
    chex.assert_trees_all_close(others, metrics, rtol=1e-2, atol=1e-5)


def test_pmap_and_jit_agree(one, eight):
  """To the bit without batch norm, whose statistics they sum in another order; with it to rounding."""
  if one[1].model.name == "vgg16":
    chex.assert_trees_all_equal(eight[Pmap][0], eight[Jit][0], strict=True)
  else:
    assert furthest(eight[Pmap][0], eight[Jit][0]) <= one[-1]


def test_two_processes_of_four_devices_equal_one(one, tmp_path):
  """Batch norm, which each backend synchronizes in its own way, with both of them."""
  changes, config, params, _, bound = one
  for parallel in ("pmap", "jit") if config.model.name == "vgg_mini" else ("pmap",):
    words = command(tmp_path / parallel, **changes, parallel=parallel)
    for status, output in finish(launch([words, words], devices=4)):
      assert status == 0, output
    found = open_run(tmp_path / parallel)
    assert found.step == STEPS
    assert furthest(params, found.variables["params"]) <= bound


@pytest.mark.quick_compilation
@pytest.mark.parametrize("parallel", [OneDevice, Pmap, Jit])
def test_gradient_accumulation_equals_one_batch(parallel):
  """Without batch norm equal to rounding: dropout depends on the example, not on the part."""
  changes = named({**NETWORKS["vgg16"], "model.head": "fc", "batch_size": 16, "steps": 10})
  config = tiny_config("runlocal,pool=ppool", **changes)
  params, metrics = parameters_after(parallel(), config, 10)
  bound = 2 * furthest(params, parameters_after(parallel(), config, 10, perturbation=2e-7)[0])
  found, others = parameters_after(parallel(), config, 10, grad_accum_steps=2)
  chex.assert_trees_all_equal_shapes_and_dtypes((found, others), (params, metrics))
  assert furthest(params, found) <= bound
  chex.assert_trees_all_close(others, metrics, rtol=1e-2, atol=1e-5)


def test_accumulated_batch_norm_updates_once_a_part():
  """The running statistics of four equal parts change as in four steps."""
  config = tiny_config(**named({"batch_size": 8, "schedule.learning_rate": 0.0}))
  whole, parts = (parameters_after(OneDevice(), config, 1, grad_accum_steps=n)[1]["loss"] for n in (1, 4))
  chex.assert_tree_all_finite((whole, parts))
  assert abs(whole - parts) > 1e-6


def test_batches_that_do_not_divide_are_refused():
  n = jax.device_count()
  with pytest.raises(ValueError, match=f"multiple of the {n} devices times grad_accum_steps=2, got {n}"):
    backend("pmap", n, 2)
  with pytest.raises(ValueError, match="grad_accum_steps: expected at least 1, got 0"):
    backend("pmap", n, 0)
