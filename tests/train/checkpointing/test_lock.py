"""The lock of a workdir: one holder, also while the directory is removed and created anew."""

import contextlib
import threading

import pytest

from train.checkpointing import lock
from train.checkpointing.lock import lock_workdir


def refuse(workdir):
  with pytest.raises(ValueError, match="is being trained by process"), lock_workdir(workdir):
    pass


def test_a_second_holder_is_refused_with_the_name_of_the_first(tmp_path, monkeypatch):
  monkeypatch.setattr(lock, "_TIMEOUT", 0.2)
  with lock_workdir(tmp_path):
    refuse(tmp_path)


def test_a_waiting_process_gets_the_lock_of_the_new_directory(tmp_path, monkeypatch):
  """The first start fails and removes its directory while the second waits; a third is refused."""
  workdir, waiting, release = tmp_path / "run", threading.Event(), threading.Event()
  acquire = lock._acquire

  def tell(file, folder):
    waiting.set()
    acquire(file, folder)

  def second():
    with lock_workdir(workdir):
      (workdir / "config.json").write_text("{}")
      release.wait(60)

  with lock_workdir(workdir):
    monkeypatch.setattr(lock, "_acquire", tell)
    thread = threading.Thread(target=second)
    thread.start()
    assert waiting.wait(60)
  try:
    for _ in range(6000):
      if (workdir / "config.json").exists():
        break
      threading.Event().wait(0.01)
    monkeypatch.setattr(lock, "_TIMEOUT", 0.2)
    refuse(workdir)
  finally:
    release.set()
    thread.join()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
  victim = tmp_path / "victim"
  victim.write_text("kept")
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / ".lock").symlink_to(victim)
  with pytest.raises(OSError, match="cannot be written"), lock_workdir(tmp_path / "run"):
    pass
  assert victim.read_text() == "kept"


def test_a_directory_of_a_failed_start_is_removed(tmp_path):
  with contextlib.suppress(KeyError), lock_workdir(tmp_path / "run"):
    raise KeyError("no such field")
  assert not (tmp_path / "run").exists()
