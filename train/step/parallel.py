"""Data parallelism: the only module that knows how a step is distributed over devices.

Both backends run the same step function; they differ in how arrays are placed and how a sum over the global
batch is computed. `pmap` sums with `psum` over its axis; `jit` with NamedSharding sees global arrays. A step
runs on all devices of all processes. A map, for evaluation and prediction, runs on this process's devices, so
that each process may have images of other sizes and another number of them.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

_AXIS = "batch"


class Pmap:
  """`jax.pmap` over the devices of all processes, the state replicated.

  Args:
    devices: of this process; None: all devices of the run.
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
    """Indices in the global batch of this device's `count` examples, int `[count]`."""
    return jax.lax.axis_index(_AXIS) * count + jnp.arange(count)

  def compile_step(self, step: Callable, inputs: int = 1) -> Callable:
    """Compiles `step(state, *inputs) -> (state, ...)`; the state's buffers are donated.

    Inputs of other shapes raise a TypeError: they would be compiled again, which takes a minute.

    Args:
      inputs: number of arguments after the state; each is a tree of arrays placed by `place_batch`.
    """
    return jax.pmap(
      _refuse_retracing(step), _AXIS, in_axes=(None, *[0] * inputs), out_axes=None,
      devices=self._step_devices, donate_argnums=(0,),
    )  # fmt: skip

  def compile_map(self, function):
    """Compiles `function(variables, images) -> outputs`, one output an example."""
    return jax.pmap(function, in_axes=(None, 0), devices=self.devices)

  def place_state(self, state):
    # Placed before the first call: donating an array that pmap itself placed fails with several processes.
    return jax.device_put(state, self._replicated)

  def place_batch(self, batch):
    """Distributes arrays whose first axis, of examples or devices, divides over this process's devices."""
    count = len(self.devices)
    return jax.tree.map(lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]), batch)

  place_map = place_batch

  def split(self, x: jax.Array, parts: int) -> jax.Array:
    """This device's `[n, ...]` as `[parts, n / parts, ...]`."""
    return x.reshape(parts, x.shape[0] // parts, *x.shape[1:])

  def local(self, tree):
    """A replicated tree on this process's devices, as a map takes it."""
    return tree

  def fetch_map(self, outputs):
    """Outputs of a mapped function as NumPy arrays `[N, ...]`."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), outputs)


class Jit:
  """`jax.jit` over a mesh of all devices: the batch is sharded, the state replicated.

  Args:
    devices: of the mesh, to compile ahead of time; None: all devices of the run.
  """

  axis_name = None  # a reduction over the batch is global already

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

  def compile_step(self, step: Callable, inputs: int = 1) -> Callable:
    del inputs
    return jax.jit(_refuse_retracing(step), donate_argnums=(0,), out_shardings=self._replicated)

  def compile_map(self, function):
    return jax.jit(function)

  def place_state(self, state):
    return jax.device_put(state, self._replicated)

  def place_batch(self, batch):
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(self._sharded, x), batch)

  def place_map(self, batch):
    return jax.device_put(batch, self._local_sharded)

  def split(self, x: jax.Array, parts: int) -> jax.Array:
    # Each device's share is split, as under pmap, so that every part is spread over all devices.
    shares = x.reshape(self._count, parts, x.shape[0] // self._count // parts, *x.shape[1:])
    return shares.swapaxes(0, 1).reshape(parts, x.shape[0] // parts, *x.shape[1:])

  def local(self, tree):
    return jax.device_put(jax.tree.map(lambda x: x.addressable_data(0), tree), self._local)

  def shapes(self, state, batch):
    """Shapes of a global state and batch with their shardings, to lower a step without any arrays."""

    def with_sharding(tree, sharding):
      return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)

    return with_sharding(state, self._replicated), with_sharding(batch, self._sharded)

  def fetch_map(self, outputs):
    return jax.tree.map(np.asarray, outputs)


def _refuse_retracing(step: Callable) -> Callable:
  """`step`, with a TypeError at a second trace.

  `chex.assert_max_traces` is not enough: it counts all closures of one name as one function.
  """
  traced_shapes = []

  def traced(state, *inputs):
    shapes = jax.tree.map(jnp.shape, inputs[0])
    if traced_shapes:
      raise TypeError(f"the step would be compiled again: a batch of {traced_shapes[0]} became {shapes}")
    traced_shapes.append(shapes)
    return step(state, *inputs)

  return traced


def _sharding(devices, *axes: str) -> NamedSharding:
  """The sharding over a mesh of `devices` along the first dimension, or replicated without `axes`."""
  return NamedSharding(Mesh(np.array(devices), (_AXIS,)), PartitionSpec(*axes))


BACKENDS = {"pmap": Pmap, "jit": Jit}


def backend(name: str, batch_size: int | None = None, grad_accum_steps: int = 1) -> Pmap | Jit:
  """The backend that `config.parallel` names.

  Args:
    batch_size: of the global batch of a training; None for evaluation, which pads its batches.
    grad_accum_steps: parts that a device's share of the batch is split into.

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
