"""Data parallelism: the only file that knows how a step is spread over devices.

Both backends run the same step function; they differ in how arrays are placed and how a sum over the
global batch is taken. `pmap` sums by `psum` over its axis, `jit` (NamedSharding) sees global arrays.
A step runs on all devices of all processes; a map, of evaluation and prediction, on this process's own,
so that each process may have other sizes and another number of images.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

_AXIS = "batch"


class Pmap:
  """`jax.pmap` over the devices of all processes, the state replicated.

  Args:
    devices: of this process, for a step over fewer; None: all of this run's.
  """

  axis_name = _AXIS

  def __init__(self, devices=None):
    self.devices = jax.local_devices() if devices is None else devices
    self._step_devices = devices
    self._replicated = _sharding(self.devices)

  def sum(self, x):
    """Sum over all devices of all processes."""
    return jax.lax.psum(x, _AXIS)

  def example_index(self, count: int) -> jax.Array:
    """Indices in the global batch of this device's `count` examples."""
    return jax.lax.axis_index(_AXIS) * count + jnp.arange(count)

  def compile_step(self, step):
    """`step(state, batch) -> (state, metrics)`; the state's buffers are reused.

    It is compiled once: a batch of another shape is a TypeError, not a silent minute.
    """
    axes = {"in_axes": (None, 0), "out_axes": (None, None)}
    return jax.pmap(_once(step), _AXIS, **axes, devices=self._step_devices, donate_argnums=(0,))

  def compile_map(self, function):
    """`function(variables, images) -> outputs`, an output for each example."""
    return jax.pmap(function, in_axes=(None, 0), devices=self.devices)

  def place_state(self, state):
    # Placed before the first call: donating what pmap placed itself fails with several processes.
    return jax.device_put(state, self._replicated)

  def place_batch(self, batch):
    count = len(self.devices)
    return jax.tree.map(lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]), batch)

  place_map = place_batch

  def split(self, x: jax.Array, parts: int) -> jax.Array:
    """This device's `[n, ...]` as `[parts, n / parts, ...]`."""
    return x.reshape(parts, x.shape[0] // parts, *x.shape[1:])

  def local(self, tree):
    """A replicated tree as maps take it: on this process's devices."""
    return tree

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
    everywhere = jax.devices() if devices is None else devices
    self._count = len(everywhere)
    self._replicated, self._sharded = _sharding(everywhere), _sharding(everywhere, _AXIS)
    self._local, self._local_sharded = _sharding(self.devices), _sharding(self.devices, _AXIS)

  def sum(self, x):
    return x

  def example_index(self, count: int) -> jax.Array:
    return jnp.arange(count)

  def compile_step(self, step):
    return jax.jit(_once(step), donate_argnums=(0,), out_shardings=self._replicated)

  def compile_map(self, function):
    return jax.jit(function)

  def place_state(self, state):
    return jax.device_put(state, self._replicated)

  def place_batch(self, batch):
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(self._sharded, x), batch)

  def place_map(self, batch):
    return jax.device_put(batch, self._local_sharded)

  def split(self, x: jax.Array, parts: int) -> jax.Array:
    # Each device's share is split, as under pmap: a part then lies on all devices.
    shares = x.reshape(self._count, parts, x.shape[0] // self._count // parts, *x.shape[1:])
    return shares.swapaxes(0, 1).reshape(parts, x.shape[0] // parts, *x.shape[1:])

  def local(self, tree):
    return jax.device_put(jax.tree.map(lambda x: x.addressable_data(0), tree), self._local)

  def shapes(self, state, batch):
    """Shapes of a global state and batch with their places, to lower a step without any arrays."""

    def placed(tree, sharding):
      return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)

    return placed(state, self._replicated), placed(batch, self._sharded)

  def fetch_map(self, outputs):
    return jax.tree.map(np.asarray, outputs)


def _once(step):
  """`step`, refusing to be traced twice; chex.assert_max_traces counts all closures of a name as one."""
  seen = []

  def traced(state, batch):
    shapes = jax.tree.map(jnp.shape, batch)
    if seen:
      raise TypeError(f"the training step would be compiled again: a batch of {seen[0]} became {shapes}")
    seen.append(shapes)
    return step(state, batch)

  return traced


def _sharding(devices, *axes: str) -> NamedSharding:
  """Over a mesh of `devices`: along the first dimension, or without `axes` replicated."""
  return NamedSharding(Mesh(np.array(devices), (_AXIS,)), PartitionSpec(*axes))


BACKENDS = {"pmap": Pmap, "jit": Jit}


def backend(name: str, batch_size: int | None = None, grad_accum_steps: int = 1) -> Pmap | Jit:
  """The backend `config.parallel` names.

  Args:
    batch_size: the global batch of a training; evaluation pads its batches and runs on any devices.
    grad_accum_steps: parts that a device's share of it is split into.

  Raises:
    ValueError: no such backend, or a global batch that does not divide over the devices and parts.
  """
  if name not in BACKENDS:
    raise ValueError(f"parallel: expected one of {', '.join(BACKENDS)}, got {name!r}")
  devices = jax.device_count()
  if grad_accum_steps < 1:
    raise ValueError(f"grad_accum_steps: expected at least 1, got {grad_accum_steps}")
  if batch_size is not None and (batch_size < 1 or batch_size % (devices * grad_accum_steps)):
    parts = f" times grad_accum_steps={grad_accum_steps}" if grad_accum_steps > 1 else ""
    raise ValueError(
      f"batch_size: expected a positive multiple of the {devices} devices{parts}, got {batch_size}"
    )
  return BACKENDS[name]()
