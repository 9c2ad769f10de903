"""Data parallelism: the only file that knows how a step is spread over devices.

Both backends run the same step function; they differ in how arrays are placed and how a sum over the
global batch is taken. `pmap` sums by `psum` over its axis, `jit` (NamedSharding) sees global arrays.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

_AXIS = "batch"


class Pmap:
  """`jax.pmap` over the local devices, the state replicated."""

  axis_name = _AXIS

  def __init__(self):
    self.devices = jax.local_devices()
    self._replicated = NamedSharding(Mesh(np.array(self.devices), (_AXIS,)), PartitionSpec())

  def sum(self, x):
    """Sum over all devices of all processes."""
    return jax.lax.psum(x, _AXIS)

  def places(self, count: int) -> jax.Array:
    """Places in the global batch of this device's `count` examples."""
    return jax.lax.axis_index(_AXIS) * count + jnp.arange(count)

  def compile_step(self, step):
    """`step(state, batch) -> (state, metrics)`; the state's buffers are reused."""
    return jax.pmap(step, _AXIS, in_axes=(None, 0), out_axes=(None, None), donate_argnums=(0,))

  def compile_map(self, function):
    """`function(variables, images) -> outputs`, an output for each example."""
    return jax.pmap(function, _AXIS, in_axes=(None, 0))

  def place_state(self, state):
    # Placed before the first call: donating what pmap placed itself fails with several processes.
    return jax.device_put(state, self._replicated)

  def place_batch(self, batch):
    count = len(self.devices)
    return jax.tree.map(lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]), batch)

  def fetch_map(self, outputs):
    """Outputs of a mapped function as NumPy arrays `[N, ...]`."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), outputs)


class Jit:
  """`jax.jit` over a mesh of all devices: the batch is sharded, the state replicated.

  Args:
    devices: those of the mesh, for compiling ahead of time; None: all of this run's.
  """

  axis_name = None  # a reduction over the batch is global as it stands

  def __init__(self, devices=None):
    self.devices = jax.local_devices() if devices is None else devices
    mesh = Mesh(np.array(jax.devices() if devices is None else devices), (_AXIS,))
    self._replicated = NamedSharding(mesh, PartitionSpec())
    self._sharded = NamedSharding(mesh, PartitionSpec(_AXIS))

  def sum(self, x):
    return x

  def places(self, count: int) -> jax.Array:
    return jnp.arange(count)

  def compile_step(self, step):
    return jax.jit(step, donate_argnums=(0,), out_shardings=self._replicated)

  def compile_map(self, function):
    return jax.jit(function)

  def place_state(self, state):
    return jax.device_put(state, self._replicated)

  def place_batch(self, batch):
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(self._sharded, x), batch)

  def shapes(self, state, batch):
    """Shapes of a global state and batch with their places, to lower a step without any arrays."""

    def placed(tree, sharding):
      return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)

    return placed(state, self._replicated), placed(batch, self._sharded)

  def fetch_map(self, outputs):
    return jax.tree.map(np.asarray, outputs)


BACKENDS = {"pmap": Pmap, "jit": Jit}


def backend(name: str, batch: int | None = None) -> Pmap | Jit:
  """The backend `config.parallel` names.

  Args:
    batch: the global batch of a training; evaluation pads its batches and runs on any devices.

  Raises:
    ValueError: no such backend, or a global batch that does not divide over the devices.
  """
  if name not in BACKENDS:
    raise ValueError(f"parallel: expected one of {', '.join(BACKENDS)}, got {name!r}")
  if batch is not None and (batch < 1 or batch % jax.device_count()):
    raise ValueError(f"batch: expected a positive multiple of the {jax.device_count()} devices, got {batch}")
  return BACKENDS[name]()
