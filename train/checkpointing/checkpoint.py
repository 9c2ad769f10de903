"""Checkpoints by orbax, with digests that are verified when one is read.

Orbax commits a checkpoint by renaming a directory, so that a kill leaves the previous one; but it does not
notice damage to a committed file. Hence the digests, of the files and of the arrays read from them: a
damaged checkpoint is set aside, and the newest good one is used.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import pathlib
import shutil
import time
from typing import Any

import flax
import jax
import numpy as np
import orbax.checkpoint as ocp

from train.checkpointing import disk, manifest
from train.checkpointing.digests import digest
from train.checkpointing.quiet_threads import silence_threads
from train.checkpointing.state_tree import to_state

_LOG = logging.getLogger("train")
_THREAD_GRACE = 0.5
"""Seconds that a failed save waits for tensorstore's threads to fail, too, before it cleans up."""


class DamagedCheckpoint(ValueError):
  """It cannot be read, or is not what was saved."""


class Checkpoints:
  """A directory of checkpoints, one a step.

  Args:
    directory: created if it is missing.
    max_to_keep: older checkpoints are deleted.

  Raises:
    ValueError: orbax would read the directory's name as a pattern, and could not restore what it saved.
  """

  def __init__(self, directory: pathlib.Path, max_to_keep: int):
    self._directory, self._max_to_keep = pathlib.Path(directory).resolve(), max_to_keep
    if found := set(str(self._directory)) & set("*?[\\"):
      raise ValueError(f"{self._directory}: expected a path without {' '.join(sorted(found))}; rename it")
    self._opened: os.stat_result | None = None

  @functools.cached_property
  def _manager(self) -> ocp.CheckpointManager:
    """Opened at first use: in the primary process alone, which therefore waits for no other."""
    silence_threads()
    self._directory.mkdir(parents=True, exist_ok=True)
    self._opened = self._directory.stat()
    process = jax.process_index()
    options = ocp.CheckpointManagerOptions(
      max_to_keep=self._max_to_keep,
      # The next step reuses the state's buffers: it must not begin while they are being written.
      enable_async_checkpointing=False,
      create=False,
      multiprocessing_options=ocp.options.MultiprocessingOptions(
        primary_host=process, active_processes={process}, barrier_sync_key_prefix=self._directory.name
      ),
    )
    return ocp.CheckpointManager(self._directory, options=options)

  def steps(self) -> list[int]:
    """Steps that have a checkpoint, ascending."""
    return sorted(self._manager.all_steps())

  def save(self, step: int, state, seconds: float) -> None:
    """Saves `state`, a tree of arrays, as `step`; does nothing if that step is saved already.

    Args:
      seconds: of training so far.

    Raises:
      WriteError: the disk is full, the directory is missing or read-only, ...; older checkpoints stay.
    """
    tree = flax.serialization.to_state_dict(jax.device_get(state))
    meta = {"digest": _checkpoint_digest(tree, seconds), "seconds": seconds}
    items = {"state": ocp.args.StandardSave(tree), "meta": ocp.args.JsonSave(meta)}
    try:
      self._check_directory(sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(tree)))
      if step in self.steps():
        return
      self._manager.save(step, args=ocp.args.Composite(**items), force=True)
      self._check_directory(0)
      manifest.write(self._directory / str(step))
    except Exception as error:  # a full disk comes as errors of several libraries
      raise disk.WriteError(self._clean_up_failed_save(step, error)) from error

  def _check_directory(self, needed: int) -> None:
    """Refuses a directory that was deleted, and a disk without room for `needed` bytes.

    Orbax would recreate a deleted directory, and the run's other files would be missing; one that orbax
    recreated while it wrote has another inode. The room is checked first, because an incomplete checkpoint
    takes what is left of the disk.
    """
    directory = self._directory if self._opened else self._directory.parent
    if not directory.is_dir():
      raise NotADirectoryError(f"no folder {directory}")
    if self._opened and _was_recreated(directory, self._opened):
      raise NotADirectoryError(f"{directory} was deleted and recreated")
    if shutil.disk_usage(directory).free < needed + disk.MIN_FREE_BYTES:
      raise OSError(f"the disk is full: it takes {needed:,} bytes and some more; free some space")

  def _clean_up_failed_save(self, step: int, error: Exception) -> str:
    """Deletes the incomplete checkpoint; returns the error message, with the checkpoints that are left."""
    free = disk.describe_free(
      self._directory
    )  # before the deletion: the incomplete checkpoint fills the disk
    time.sleep(_THREAD_GRACE)
    recreated = self._opened and _was_recreated(self._directory, self._opened)
    for draft in self._directory.glob(f"{step}*" if recreated else f"{step}.*tmp*"):
      shutil.rmtree(draft, ignore_errors=True)
    for empty in (self._directory, self._directory.parent) if recreated else ():
      with contextlib.suppress(OSError):
        empty.rmdir()
    why = disk.write_problem(self._directory) or str(error)[:500]
    names = [path.name for path in self._directory.iterdir()] if self._directory.is_dir() else []
    kept = sorted(int(name) for name in names if name.isdigit())
    return f"{self._directory}: checkpoint {step} could not be written: {why} ({free}; kept: {kept})"

  def discard(self, after: int) -> None:
    """Deletes the checkpoints of steps beyond `after`."""
    for step in self.steps():
      if step > after:
        self._manager.delete(step)

  def restore(self, template, step: int | None = None, set_aside: bool = False):
    """The newest good checkpoint.

    Args:
      template: a state of the same structure, or its shapes.
      step: only this one.
      set_aside: moves the damaged ones that are newer out of the folder, so that training can save
        these steps again; they are kept as damaged-checkpoint-STEP beside it.

    Returns:
      (state, seconds), or None where there is no good one.

    Raises:
      ValueError: `step` is asked for and is missing or damaged, or the checkpoint is of another model.
    """
    if step is not None:
      if step not in self.steps():
        raise ValueError(f"{self._directory}: expected a checkpoint of step {step}, got {self.steps()}")
      return self._to_state(template, *self._read(step))
    for candidate in reversed(self.steps()):
      try:
        tree, seconds = self._read(candidate)
      except DamagedCheckpoint as error:
        where = f", set aside as {self._set_aside(candidate)}" if set_aside else ""
        _LOG.warning("CHECKPOINT %d IS DAMAGED%s: %s", candidate, where, error)
      else:
        return self._to_state(template, tree, seconds)
    return None

  def _read(self, step: int) -> tuple[dict, float]:
    try:
      manifest.verify(self._directory / str(step))
      items = {"state": ocp.args.StandardRestore(), "meta": ocp.args.JsonRestore()}
      read = self._manager.restore(step, args=ocp.args.Composite(**items))
      tree, seconds = read["state"], read["meta"]["seconds"]
      if _checkpoint_digest(tree, seconds) != read["meta"]["digest"]:
        raise ValueError("its contents do not have the digest they were saved with")
    except Exception as error:  # whatever a damaged file makes orbax raise
      text = str(error).splitlines() or [type(error).__name__]
      raise DamagedCheckpoint(f"{self._directory / str(step)}: damaged: {text[0][:300]}") from error
    return tree, seconds

  def _to_state(self, template, tree: dict, seconds: float):
    try:
      return to_state(template, tree), seconds
    except ValueError as error:
      raise ValueError(f"{self._directory}: {error}") from None

  def _set_aside(self, step: int) -> pathlib.Path:
    """Moves a damaged checkpoint out of orbax's directory, so that a user can examine it."""
    numbers = itertools.count(2)
    aside = self._directory.with_name(f"damaged-checkpoint-{step}")
    while aside.exists():
      aside = self._directory.with_name(f"damaged-checkpoint-{step}-{next(numbers)}")
    (self._directory / str(step)).rename(aside)
    self._manager.reload()
    return aside

  def close(self) -> None:
    if "_manager" in vars(self):
      self._manager.close()


def restore_first(
  folders: list[Checkpoints], template, step: int | None = None, set_aside: bool = False
) -> tuple[Any, Any] | None:
  """As `Checkpoints.restore`, from the first folder that has a good one, or that of `step`."""
  if step is not None:
    there = (folder for folder in folders if step in folder.steps())
    return next(there, folders[0]).restore(template, step)
  restored = (folder.restore(template, set_aside=set_aside) for folder in folders)
  return next(filter(None, restored), None)


def _was_recreated(folder: pathlib.Path, opened: os.stat_result) -> bool:
  """Whether `folder` exists and is not the directory that was opened."""
  return folder.is_dir() and not os.path.samestat(opened, folder.stat())


def _checkpoint_digest(tree: dict, seconds: float) -> str:
  return digest({**tree, "seconds": np.float64(seconds)})
