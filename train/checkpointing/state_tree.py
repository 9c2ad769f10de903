"""Fits the arrays of a checkpoint into the state of a training."""

from __future__ import annotations

import flax


def to_state(template, tree: dict):
  """A state like `template` with the arrays of `tree`.

  Args:
    template: a state, or its shapes.
    tree: nested dicts of arrays, as orbax restores them.

  Raises:
    ValueError: an array is missing, is not in the template, or has another shape; it is named.
  """
  # Orbax leaves out empty nodes, such as the state of an optax transformation without any.
  empty = flax.traverse_util.empty_node
  state = flax.serialization.to_state_dict(template)
  expected = flax.traverse_util.flatten_dict(state, sep="/", keep_empty_nodes=True)
  arrays = _reset_changed_guard(flax.traverse_util.flatten_dict(tree, sep="/"), expected)
  for key in sorted(expected.keys() | arrays.keys()):
    shape, expected_shape = (getattr(flat.get(key), "shape", None) for flat in (arrays, expected))
    if shape != expected_shape:
      raise ValueError(f"of another model: {key} is {shape}, expected {expected_shape}")
  whole = {key: empty if value is empty else arrays[key] for key, value in expected.items()}
  return flax.serialization.from_state_dict(template, flax.traverse_util.unflatten_dict(whole, sep="/"))


def _reset_changed_guard(arrays: dict, expected: dict) -> dict:
  """`arrays` with the template's guard state, but for arrays of the same shape.

  The guard's state depends on its config, which may change from start to start.
  """
  guard = {key: value for key, value in expected.items() if key.startswith("guard/")}
  for key, value in guard.items():
    if getattr(arrays.get(key), "shape", None) == value.shape:
      guard[key] = arrays[key]
  return {key: value for key, value in arrays.items() if not key.startswith("guard/")} | guard
