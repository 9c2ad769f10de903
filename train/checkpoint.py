"""Checkpoints: orbax, with a digest that is verified when one is read.

Orbax commits a checkpoint by renaming a folder, so that a kill leaves the previous one; but it does
not notice damage to a committed file. Hence the digest: a damaged checkpoint is set aside and the
newest good one is used.
"""

from __future__ import annotations

import hashlib
import logging
import pathlib

import flax
import jax
import numpy as np
import orbax.checkpoint as ocp

_LOG = logging.getLogger("train")


class Checkpoints:
  """A folder of checkpoints by step: the last `keep` of them.

  Args:
    directory: where they are; made when it is missing.
    keep: how many of the latest to keep.
  """

  def __init__(self, directory: pathlib.Path, keep: int):
    self._directory = pathlib.Path(directory).resolve()
    options = ocp.CheckpointManagerOptions(
      max_to_keep=keep,
      # The next step reuses the state's buffers: it must not begin while they are being written.
      enable_async_checkpointing=False,
      create=True,
    )
    self._manager = ocp.CheckpointManager(self._directory, options=options)

  def steps(self) -> list[int]:
    """Steps that have a checkpoint, ascending."""
    return sorted(self._manager.all_steps())

  def save(self, step: int, state, seconds: float) -> None:
    """Saves `state` (a tree of arrays) as `step`; does nothing if that step is saved.

    Args:
      seconds: of training so far.
    """
    if step in self.steps():
      return
    tree = flax.serialization.to_state_dict(jax.device_get(state))
    meta = {"digest": digest(tree), "seconds": seconds}
    items = {"state": ocp.args.StandardSave(tree), "meta": ocp.args.JsonSave(meta)}
    self._manager.save(step, args=ocp.args.Composite(**items), force=True)

  def restore(self, template, step: int | None = None):
    """The newest good checkpoint.

    Args:
      template: a state of the same structure, or its shapes.
      step: only this one.

    Returns:
      (state, seconds), or None where there is no good one.

    Raises:
      ValueError: `step` is asked for and is missing or damaged.
    """
    if step is not None and step not in self.steps():
      raise ValueError(f"{self._directory}: expected a checkpoint of step {step}, got {self.steps()}")
    for candidate in reversed([step] if step is not None else self.steps()):
      try:
        return self._read(candidate, template)
      except Exception as error:  # whatever a damaged file makes orbax raise
        if step is not None:
          raise ValueError(f"{self._directory / str(step)}: damaged ({error})") from error
        self._set_aside(candidate, error)
    return None

  def _read(self, step: int, template):
    shapes = flax.serialization.to_state_dict(jax.tree.map(_shape, template))
    items = {"state": ocp.args.StandardRestore(shapes), "meta": ocp.args.JsonRestore()}
    read = self._manager.restore(step, args=ocp.args.Composite(**items))
    if digest(read["state"]) != read["meta"]["digest"]:
      raise ValueError("its contents do not have the digest they were saved with")
    return flax.serialization.from_state_dict(template, read["state"]), read["meta"]["seconds"]

  def _set_aside(self, step: int, error: Exception) -> None:
    """Out of the manager's sight, but kept: a user may want to see what happened."""
    folder = self._directory / str(step)
    aside = self._directory.with_name(f"damaged-checkpoint-{step}")
    number = 1
    while aside.exists():
      number += 1
      aside = self._directory.with_name(f"damaged-checkpoint-{step}-{number}")
    folder.rename(aside)
    self._manager.reload()
    _LOG.warning("CHECKPOINT %d IS DAMAGED, set aside as %s: %s", step, aside, str(error)[:500])

  def close(self) -> None:
    self._manager.close()


def digest(tree) -> str:
  """SHA-256 over the arrays' bytes in sorted path order, with path, shape and dtype."""
  sha = hashlib.sha256()
  for path, value in sorted(flax.traverse_util.flatten_dict(tree, sep="/").items()):
    array = np.ascontiguousarray(value)
    sha.update(f"{path} {array.shape} {array.dtype}".encode())
    sha.update(array.tobytes())
  return sha.hexdigest()


def params_sha256(params) -> str:
  """SHA-256 over the parameters' bytes in sorted path order: `params_sha256` of summary.json."""
  sha = hashlib.sha256()
  for _, value in sorted(flax.traverse_util.flatten_dict(params, sep="/").items()):
    sha.update(np.ascontiguousarray(value).tobytes())
  return sha.hexdigest()


def _shape(value):
  return jax.ShapeDtypeStruct(np.shape(value), np.asarray(value).dtype)
