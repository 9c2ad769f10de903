"""Memory, work and collectives of a compiled step."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from tests.helpers.training import tiny_config
from train.planning.lower_step import lower_train_step
from train.planning.program_cost import Collective, count_collectives, measure_program

pytestmark = pytest.mark.optimized


@pytest.fixture(scope="module")
def step():
  """(shapes of the state, compiled step) of vgg_mini with batch norm over 8 devices of this machine."""
  lowered = lower_train_step(tiny_config("pool=max", model__width=0.25), jax.devices(), 16)
  return lowered.args_info[0][0], lowered.compile()


def test_the_gradients_are_summed_over_the_devices(step):
  """The bytes of a step's collectives are gradients, moments of batch norm, and metrics."""
  state, compiled = step
  size = sum(4 * math.prod(leaf.shape) for leaf in jax.tree.leaves(state.params))
  channels = sum(leaf.shape[0] for leaf in jax.tree.leaves(state.batch_stats)) // 2
  # Two sums in the forward and three in the backward pass; scale and bias are among the parameters.
  norm = 4 * channels * 3
  logged = 4 * (1 + 1 + 1)  # valid pixels, hits, loss
  found = measure_program(compiled)
  assert set(found.collectives) == {"all-reduce"}
  assert found.collectives["all-reduce"].bytes == size + norm + logged


def test_the_donated_state_is_counted_once(step):
  """The state is donated, so the new state uses its memory."""
  state, compiled = step
  size = sum(leaf.dtype.itemsize * math.prod(leaf.shape) for leaf in jax.tree.leaves(state))
  found = measure_program(compiled)
  assert found.arguments == size + 2 * 32 * 48 * (3 + 1)  # + a device's images and labels
  assert found.aliased == size
  assert found.memory == found.arguments + found.outputs - size + found.temporaries + found.code
  assert found.flops > 0
  assert found.bytes > size


def _compile_sharded(function, inside: P, outside: P, devices=None) -> str:
  """The optimized program of a function of each device's [1, 8, 128] float32."""
  mesh = Mesh(np.array(devices or jax.devices()), ("i",))
  mapped = jax.shard_map(function, mesh=mesh, in_specs=inside, out_specs=outside, check_vma=False)
  x = jax.ShapeDtypeStruct((8, 8, 128), jnp.float32, sharding=NamedSharding(mesh, inside))
  return jax.jit(mapped).lower(x).compile().as_text()


ROUND = [(i, (i + 1) % 8) for i in range(8)]

KINDS = {
  "all-reduce": (lambda x: jax.lax.psum(x, "i"), P(), 4096),
  "all-gather": (lambda x: jax.lax.all_gather(x, "i", tiled=True), P(), 8 * 4096),
  "reduce-scatter": (lambda x: jax.lax.psum_scatter(x[0], "i", tiled=True)[None], P("i"), 512),
  "all-to-all": (lambda x: jax.lax.all_to_all(x, "i", 1, 1, tiled=True), P("i"), 4096),
  "collective-permute": (lambda x: jax.lax.ppermute(x, "i", ROUND), P("i"), 4096),
}


@pytest.mark.parametrize("kind", KINDS)
def test_collectives_are_counted_by_kind(kind):
  function, outside, size = KINDS[kind]
  assert count_collectives(_compile_sharded(function, P("i"), outside)) == {kind: Collective(1, size)}


def test_collectives_in_a_loop_count_per_iteration():
  """A sum of each part is in the loop, a sum of the total after it."""

  def each(x):
    return jax.lax.scan(
      lambda c, p: (c + jax.lax.psum(p * p, "i"), None), jnp.zeros((1, 128)), x.swapaxes(0, 1)
    )[0]

  def total(x):
    return jax.lax.psum(
      jax.lax.scan(lambda c, p: (c + p * p, None), jnp.zeros((1, 128)), x.swapaxes(0, 1))[0], "i"
    )

  inside, outside = (_compile_sharded(function, P("i"), P()) for function in (each, total))
  assert count_collectives(inside, trip_count=8) == {"all-reduce": Collective(8, 8 * 512)}
  assert count_collectives(outside, trip_count=8) == {"all-reduce": Collective(1, 512)}


def test_accumulation_multiplies_the_work(step):
  """The compiler counts a loop's body once; multiplied, the parts do the work of the whole batch."""
  whole = measure_program(step[1])
  config = tiny_config("pool=max", model__width=0.25, grad_accum_steps=2)
  parts = measure_program(lower_train_step(config, jax.devices(), 16).compile(), 2)
  assert parts.flops == pytest.approx(whole.flops, rel=0.05)
  assert parts.temporaries < 0.7 * whole.temporaries
  sums = [found.collectives["all-reduce"].bytes for found in (parts, whole)]
  assert sums[0] == pytest.approx(2 * sums[1], rel=0.01)
