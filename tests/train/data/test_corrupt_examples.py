"""Corrupt examples: the error that names one, and its replacement."""

import collections

import numpy as np
import pytest

from tests.helpers.datasets import files_below, pixels, raw_label, save
from train.data.corrupt import CorruptExampleError
from train.data.loader import training_batches
from train.data.registry import get_dataset
from train.prepare import prepare

COUNT = 6


@pytest.fixture
def prepared(tmp_path):
  """A prepared user folder in which one bit of a stored training image is flipped."""
  source, folder = tmp_path / "source", tmp_path / "data"
  for i in range(COUNT + 1):
    split = "val" if i == COUNT else "train"
    save(source / "images" / split / f"{i}.png", pixels(i))
    save(source / "labels" / split / f"{i}.png", raw_label(i, np.array([0, 1], np.uint8)))
  (source / "classes.csv").write_text("name,raw_id,train_id,r,g,b\nsoil,0,0,1,2,3\nstem,1,1,0,255,0\n")
  prepare("folder", str(source), str(folder))
  file = next(file for file in files_below(folder) if "train.array_record" in file.name)
  flip(file, file.read_bytes().index(b"IDAT") + 20)
  return folder


def flip(file, at):
  content = bytearray(file.read_bytes())
  content[at] ^= 4
  file.write_bytes(bytes(content))


def batches(folder, on_corrupt, **options):
  source = get_dataset("folder").open("train", dir=str(folder))
  more = {"batch_size": 4, "seed": 0, "start": 0, "stop": 3, "on_corrupt": on_corrupt, **options}
  return list(training_batches(source, lambda example, rng: example, **more))


def test_corrupt_example_is_named(prepared):
  says = rf"{prepared}/folder/1.0.0: folder, split 'train': example 0, record 0 of folder-train.array_record"
  with pytest.raises(CorruptExampleError, match=rf"{says}.*prepare it again.*on_corrupt=skip"):
    batches(prepared, "stop")


def test_error_has_the_id_if_it_can_be_read(prepared, monkeypatch):
  """The record is intact, but the image in it is corrupt, as if it had been stored that way."""
  source = get_dataset("folder").open("train", dir=str(prepared))
  whole = source._source.data_source[1]
  damaged = whole.replace(b"IDAT", b"IDXX")
  monkeypatch.setattr(type(source._source.data_source), "__getitem__", lambda self, index: damaged)
  with pytest.raises(
    CorruptExampleError, match=r"split 'train': example 1, id '\d', record 1 of folder-train"
  ):
    source[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_skip_replaces_and_counts_corrupt_examples(prepared, workers):
  """12 examples are 2 epochs of 6: each occurs twice, and the substitute of the corrupt one four times."""
  taken = batches(prepared, "skip", workers=workers)
  seen = collections.Counter(image.tobytes() for batch in taken for image in batch["image"])
  assert sorted(seen.values()) == [2, 2, 2, 2, 4]
  assert sum(batch["replaced"].sum() for batch in taken) == 2
  assert all(batch["replaced"].shape == (4,) for batch in taken)
  again = batches(prepared, "skip", start=1, threads=1)
  for one, other in zip(taken[1:], again, strict=True):
    for key in one:
      np.testing.assert_array_equal(one[key], other[key])


def test_skip_stops_if_all_examples_are_corrupt(prepared, monkeypatch, caplog):
  def read(self, index):
    raise ValueError("chunk data hash mismatch")

  source = get_dataset("folder").open("train", dir=str(prepared))
  monkeypatch.setattr(type(source._source), "__getitem__", read)
  with pytest.raises(
    CorruptExampleError, match=r"6 consecutive examples are corrupt; the last: .*hash mismatch"
  ):
    list(training_batches(source, None, batch_size=1, seed=0, start=0, stop=1, on_corrupt="skip"))
  assert caplog.text.count("corrupt example replaced by the next readable one") == COUNT


def test_unknown_on_corrupt_is_rejected(prepared):
  with pytest.raises(ValueError, match="on_corrupt: expected one of stop, skip, got 'warn'"):
    batches(prepared, "warn")
