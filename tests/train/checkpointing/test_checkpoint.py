"""Checkpoints: saved states are restored; a damaged one is set aside, and an older one is used."""

import logging
import pathlib
import random

import jax.numpy as jnp
import numpy as np
import pytest

from train.checkpointing.checkpoint import Checkpoints
from train.checkpointing.digests import digest, params_sha256


def state(value):
  return {"params": {"a": jnp.full((64, 64), value), "b": {"c": jnp.arange(3.0)}}, "step": jnp.int32(value)}


@pytest.fixture
def saved(tmp_path):
  checkpoints = Checkpoints(tmp_path / "checkpoints", max_to_keep=2)
  for step in (1, 2, 3):
    checkpoints.save(step, state(step), seconds=10.0 * step)
  return checkpoints


def largest_file(folder: pathlib.Path) -> pathlib.Path:
  return max(
    (file for file in (folder / "state").rglob("*") if file.is_file()), key=lambda file: file.stat().st_size
  )


def test_the_newest_is_restored_and_old_ones_are_deleted(saved):
  assert saved.steps() == [2, 3]
  restored, seconds = saved.restore(state(0))
  assert seconds == 30
  assert int(restored["step"]) == 3
  np.testing.assert_array_equal(restored["params"]["a"], np.full((64, 64), 3.0))
  assert int(saved.restore(state(0), step=2)[0]["step"]) == 2


def test_nothing_to_restore(tmp_path):
  assert Checkpoints(tmp_path / "none", max_to_keep=1).restore(state(0)) is None


def truncate(file):
  file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_bits(file):
  content = bytearray(file.read_bytes())
  content[len(content) // 2 - 4 : len(content) // 2 + 4] = b"\xa5" * 8
  file.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [truncate, flip_bits, pathlib.Path.unlink])
def test_a_damaged_checkpoint_is_set_aside(saved, tmp_path, caplog, damage):
  damage(largest_file(tmp_path / "checkpoints" / "3"))
  assert int(saved.restore(state(0))[0]["step"]) == 2, "reading alone moves nothing"
  assert saved.steps() == [2, 3]
  with caplog.at_level(logging.WARNING, "train"):
    restored, seconds = saved.restore(state(0), set_aside=True)
  assert int(restored["step"]) == 2
  assert seconds == 20
  assert "CHECKPOINT 3 IS DAMAGED" in caplog.text
  assert (tmp_path / "damaged-checkpoint-3").is_dir()
  assert saved.steps() == [2]
  saved.save(3, state(3), seconds=30.0)
  assert int(saved.restore(state(0))[0]["step"]) == 3


def test_any_flipped_bit_is_noticed(saved, tmp_path, caplog):
  """In every file, the manifest included, at random positions."""
  draw = random.Random(0)
  for file in sorted(file for file in (tmp_path / "checkpoints" / "3").rglob("*") if file.is_file()):
    whole = file.read_bytes()
    for _ in range(10 if whole else 0):
      damaged = bytearray(whole)
      damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
      file.write_bytes(bytes(damaged))
      restored, seconds = saved.restore(state(0))
      assert (int(restored["step"]), seconds) == (2, 20), file
    file.write_bytes(whole)
  assert int(saved.restore(state(0))[0]["step"]) == 3
  assert "state/manifest.ocdbt is not what was written" in caplog.text


def test_damage_without_a_manifest_is_noticed(saved, tmp_path):
  """The digest of the arrays shows it."""
  (tmp_path / "checkpoints" / "3" / "files.json").unlink()
  assert int(saved.restore(state(0))[0]["step"]) == 3
  meta = tmp_path / "checkpoints" / "3" / "meta" / "metadata"
  meta.write_text(meta.read_text().replace("30.0", "31.0"))
  assert int(saved.restore(state(0))[0]["step"]) == 2


def test_wrong_arrays_are_noticed_by_their_digest(saved, tmp_path, monkeypatch):
  """Orbax restores these without an error: only the digest shows the damage."""
  monkeypatch.setattr("train.checkpointing.checkpoint.digest", lambda tree: "another")
  assert saved.restore(state(0), set_aside=True) is None
  assert (tmp_path / "damaged-checkpoint-2").is_dir()


def test_restoring_a_given_step(saved, tmp_path):
  with pytest.raises(ValueError, match=r"expected a checkpoint of step 7, got \[2, 3\]"):
    saved.restore(state(0), step=7)
  truncate(largest_file(tmp_path / "checkpoints" / "3"))
  with pytest.raises(ValueError, match=r"3: damaged"):
    saved.restore(state(0), step=3)
  assert (tmp_path / "checkpoints" / "3").is_dir()


def test_a_checkpoint_of_another_model_is_not_damaged(saved):
  other = {**state(0), "params": {"a": jnp.zeros((3, 3)), "b": {"c": jnp.zeros(3)}}}
  with pytest.raises(ValueError, match=r"of another model: params/a is \(64, 64\), expected \(3, 3\)"):
    saved.restore(other, set_aside=True)
  assert saved.steps() == [2, 3]


def test_digests():
  tree = {"a": np.arange(3.0), "b": {"c": np.ones(2)}}
  assert digest(tree) == digest({"b": {"c": np.ones(2)}, "a": np.arange(3.0)})
  assert digest(tree) != digest({"a": np.arange(3.0), "b": {"d": np.ones(2)}})
  assert digest(tree) != digest({"a": np.arange(3.0), "b": {"c": np.ones((2, 1))}})
  assert params_sha256(tree) == params_sha256({"b": {"c": np.ones(2)}, "a": np.arange(3.0)})
  assert params_sha256(tree) != params_sha256({"a": np.arange(3.0) + 1e-9, "b": {"c": np.ones(2)}})


@pytest.mark.parametrize("stray", [".DS_Store", "state/.nfs0001"])
def test_a_stray_file_is_no_damage(saved, tmp_path, stray):
  """File browsers and network file systems leave some."""
  (tmp_path / "checkpoints" / "3" / stray).write_bytes(b"stray")
  assert int(saved.restore(state(0))[0]["step"]) == 3


@pytest.mark.parametrize("name", ["lr[0.1]", "a*b", "what?", "back\\slash"])
def test_a_path_that_orbax_reads_as_a_pattern_is_refused(tmp_path, name):
  with pytest.raises(ValueError, match="expected a path without"):
    Checkpoints(tmp_path / name / "checkpoints", 3)
