"""Saving in a thread: a copy of the state, saves in order, and no lost failure."""

import threading

import numpy as np
import pytest

from train.checkpointing.async_checkpointer import AsyncCheckpointer
from train.checkpointing.checkpoint import Checkpoints
from train.checkpointing.disk import WriteError

STATE = {"w": np.arange(6.0), "empty": {}}


class Blocked(Checkpoints):
  """Writes only after it is released."""

  def __init__(self, *arguments):
    super().__init__(*arguments)
    self.let = threading.Event()

  def save(self, step, state, seconds):
    self.let.wait(60)
    super().save(step, state, seconds)


def test_the_loop_may_reuse_buffers_while_a_copy_is_written(tmp_path):
  checkpoints = Blocked(tmp_path / "checkpoints", 3)
  state = {"w": np.arange(6.0)}
  with AsyncCheckpointer(checkpoints) as saver:
    saver.save(1, state, 0.5)
    state["w"][:] = -1  # as the next step does
    assert not (tmp_path / "checkpoints" / "1").exists()
    checkpoints.let.set()
    saver.save(2, state, 1.0)
  assert checkpoints.steps() == [1, 2]
  for step, expected in ((1, np.arange(6.0)), (2, np.full(6, -1.0))):
    np.testing.assert_array_equal(checkpoints.restore(state, step)[0]["w"], expected)


@pytest.mark.parametrize("how", ["the next save", "waiting", "leaving"])
def test_a_failed_save_raises_later(how, tmp_path):
  (tmp_path / "checkpoints").write_text("a file in its place")

  def lose():
    with AsyncCheckpointer(Checkpoints(tmp_path / "checkpoints", 3)) as saver:
      saver.save(1, STATE, 0.0)
      if how == "the next save":
        saver.save(2, STATE, 0.0)
      if how == "waiting":
        saver.wait()

  with pytest.raises(WriteError, match="checkpoint 1 could not be written"):
    lose()


def test_a_failed_save_does_not_hide_an_error_of_the_loop(tmp_path):
  (tmp_path / "checkpoints").write_text("a file in its place")

  def lose():
    with AsyncCheckpointer(Checkpoints(tmp_path / "checkpoints", 3)) as saver:
      saver.save(1, STATE, 0.0)
      raise ZeroDivisionError

  with pytest.raises(ZeroDivisionError):
    lose()
