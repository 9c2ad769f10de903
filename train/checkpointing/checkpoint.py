"""Checkpoints: orbax, with digests that are verified when one is read.

Orbax commits a checkpoint by renaming a folder, so that a kill leaves the previous one; but it does
not notice damage to a committed file. Hence the digests, of the files and of what is read from them: a
damaged checkpoint is set aside and the newest good one is used.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import logging
import os
import pathlib
import shutil
import sys
import threading
import time

import flax
import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging as absl_logging

from train.checkpointing import disk, manifest

_LOG = logging.getLogger("train")


_LAST_WORDS = 0.5
"""Seconds for threads of tensorstore to fail, too, while `_keep_threads_quiet` still listens."""


class DamagedCheckpoint(ValueError):
  """It cannot be read, or is not what was saved."""


class Checkpoints:
  """A folder of checkpoints by step: the last `keep` of them.

  Args:
    directory: where they are; made when it is missing.
    keep: how many of the latest to keep.
  """

  def __init__(self, directory: pathlib.Path, keep: int):
    self._directory, self._keep = pathlib.Path(directory).resolve(), keep
    self._opened: os.stat_result | None = None

  @functools.cached_property
  def _manager(self) -> ocp.CheckpointManager:
    """Opened when it is needed: in the first process alone, which therefore waits for no other."""
    _keep_threads_quiet()
    self._directory.mkdir(parents=True, exist_ok=True)
    self._opened = self._directory.stat()
    process = jax.process_index()
    options = ocp.CheckpointManagerOptions(
      max_to_keep=self._keep,
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
    """Saves `state` (a tree of arrays) as `step`; does nothing if that step is saved.

    Args:
      seconds: of training so far.

    Raises:
      CannotWrite: the disk is full, the folder is gone, read-only, ...; older ones are kept.
    """
    tree = flax.serialization.to_state_dict(jax.device_get(state))
    meta = {"digest": _seal(tree, seconds), "seconds": seconds}
    items = {"state": ocp.args.StandardSave(tree), "meta": ocp.args.JsonSave(meta)}
    try:
      self._check_folder(sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(tree)))
      if step in self.steps():
        return
      self._manager.save(step, args=ocp.args.Composite(**items), force=True)
      self._check_folder(0)
      manifest.seal(self._directory / str(step))
    except Exception as error:  # a full disk comes as errors of several libraries
      raise disk.CannotWrite(self._not_saved(step, error)) from error

  def _check_folder(self, needed: int) -> None:
    """A folder that vanished must not be made again: it would be a run without its other manifest.

    Orbax makes it again where it vanishes while it writes; then it is another one.

    A disk that is too small is best known before: what is half written then takes what is left of it.
    """
    if not (there := self._directory if self._opened else self._directory.parent).is_dir():
      raise NotADirectoryError(f"no folder {there}")
    if self._opened and _is_another(there, self._opened):
      raise NotADirectoryError(f"{there} vanished, and was made again")
    if shutil.disk_usage(there).free < needed + disk.LITTLE:
      raise OSError(f"the disk is full: it takes {needed:,} bytes and some more; free some space")

  def _not_saved(self, step: int, error: Exception) -> str:
    """Removes what there is of `step`; returns what to say, and what is left to go on from."""
    free = disk.free(self._directory)  # before the removal, as the disk is full with it
    time.sleep(_LAST_WORDS)
    made_again = self._opened and _is_another(self._directory, self._opened)
    for draft in self._directory.glob(f"{step}*" if made_again else f"{step}.*tmp*"):
      shutil.rmtree(draft, ignore_errors=True)
    for empty in (self._directory, self._directory.parent) if made_again else ():
      with contextlib.suppress(OSError):
        empty.rmdir()
    why = disk.fault(self._directory) or str(error)[:500]
    there = self._directory.is_dir()
    kept = (
      sorted(int(path.name) for path in self._directory.iterdir() if path.name.isdigit()) if there else []
    )
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
      return self._fit(template, *self._read(step))
    for candidate in reversed(self.steps()):
      try:
        tree, seconds = self._read(candidate)
      except DamagedCheckpoint as error:
        where = f", set aside as {self._set_aside(candidate)}" if set_aside else ""
        _LOG.warning("CHECKPOINT %d IS DAMAGED%s: %s", candidate, where, error)
      else:
        return self._fit(template, tree, seconds)
    return None

  def _read(self, step: int) -> tuple[dict, float]:
    try:
      manifest.check(self._directory / str(step))
      items = {"state": ocp.args.StandardRestore(), "meta": ocp.args.JsonRestore()}
      read = self._manager.restore(step, args=ocp.args.Composite(**items))
      tree, seconds = read["state"], read["meta"]["seconds"]
      if _seal(tree, seconds) != read["meta"]["digest"]:
        raise ValueError("its contents do not have the digest they were saved with")
    except Exception as error:  # whatever a damaged file makes orbax raise
      text = str(error).splitlines() or [type(error).__name__]
      raise DamagedCheckpoint(f"{self._directory / str(step)}: damaged: {text[0][:300]}") from error
    return tree, seconds

  def _fit(self, template, tree: dict, seconds: float):
    # Orbax leaves out empty nodes, such as the state of a transformation without one.
    empty = flax.traverse_util.empty_node
    state = flax.serialization.to_state_dict(template)
    wanted = flax.traverse_util.flatten_dict(state, sep="/", keep_empty_nodes=True)
    found = flax.traverse_util.flatten_dict(tree, sep="/")
    # What the guard keeps depends on what it guards against, which may change: it begins anew.
    guard = {key: value for key, value in wanted.items() if key.startswith("guard/")}
    same = {key: found[key] for key in guard if getattr(found.get(key), "shape", None) == guard[key].shape}
    found = {key: value for key, value in found.items() if not key.startswith("guard/")} | guard | same
    for key in sorted(wanted.keys() | found.keys()):
      shapes = [getattr(flat.get(key), "shape", None) for flat in (found, wanted)]
      if shapes[0] != shapes[1]:
        raise ValueError(f"{self._directory}: of another model: {key} is {shapes[0]}, expected {shapes[1]}")
    whole = {key: empty if value is empty else found[key] for key, value in wanted.items()}
    tree = flax.traverse_util.unflatten_dict(whole, sep="/")
    return flax.serialization.from_state_dict(template, tree), seconds

  def _set_aside(self, step: int) -> pathlib.Path:
    """Out of the manager's sight, but kept: a user may want to see what happened."""
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


def restore_first(folders: list[Checkpoints], template, step: int | None = None, set_aside: bool = False):
  """As `Checkpoints.restore`, from the first folder that has a good one, or that of `step`."""
  if step is not None:
    there = (folder for folder in folders if step in folder.steps())
    return next(there, folders[0]).restore(template, step)
  found = (folder.restore(template, set_aside=set_aside) for folder in folders)
  return next(filter(None, found), None)


def _is_another(folder: pathlib.Path, opened: os.stat_result) -> bool:
  """Whether `folder` is there and is not the one that was opened."""
  return folder.is_dir() and not os.path.samestat(opened, folder.stat())


@functools.cache
def _keep_threads_quiet() -> None:
  """What fails in threads of orbax and tensorstore comes as an exception, too: hundreds of lines less."""
  main = threading.main_thread()

  def in_main(before):
    return lambda *error: before(*error) if threading.current_thread() is main else None

  # Tensorstore tells its errors to one of the two, by where they arise.
  sys.excepthook, sys.unraisablehook = in_main(sys.excepthook), in_main(sys.unraisablehook)
  absl_logging.get_absl_logger().addFilter(lambda record: "_SignalingThread" not in str(record.msg))
  # A task that fails after another of its group has: asyncio logs what nobody asked it for.
  whole = logging.Formatter()
  logging.getLogger("asyncio").addFilter(lambda record: "orbax" not in whole.format(record))


def digest(tree) -> str:
  """SHA-256 over the arrays' bytes in sorted path order, with path, shape and dtype."""
  sha = hashlib.sha256()
  for path, value in sorted(flax.traverse_util.flatten_dict(tree, sep="/").items()):
    array = np.ascontiguousarray(value)
    sha.update(f"{path} {array.shape} {array.dtype}".encode())
    sha.update(array.tobytes())
  return sha.hexdigest()


def _seal(tree: dict, seconds: float) -> str:
  """The digest of all that a checkpoint says."""
  return digest({**tree, "seconds": np.float64(seconds)})


def params_sha256(params) -> str:
  """SHA-256 over the parameters' bytes in sorted path order: `params_sha256` of summary.json."""
  sha = hashlib.sha256()
  for _, value in sorted(flax.traverse_util.flatten_dict(params, sep="/").items()):
    sha.update(np.ascontiguousarray(value).tobytes())
  return sha.hexdigest()
