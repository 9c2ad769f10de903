"""The loader: a batch depends only on the seed and the step."""

import numpy as np
import pytest

from train.data.loader import training_batches

N = 7


class Numbers:
  """All pixels of example i are i."""

  def __init__(self, count=N):
    self.count = count

  def __len__(self):
    return self.count

  def __getitem__(self, index):
    image = np.full((4, 5, 3), index, np.uint8)
    return {"id": str(index), "image": image, "label": np.full((4, 5), index, np.uint8)}


NUMBERS = Numbers()


class Broken(Numbers):
  def __getitem__(self, index):
    if index == 3:
      raise ValueError("train/0003.jpg: not a readable image")
    return super().__getitem__(index)


def add_noise(example, rng):
  """Adds noise with a varying number of draws to channels 1 and 2, and returns views, as a flip does."""
  image = example["image"].copy()
  image[..., 1] = rng.integers(0, 256, image.shape[:2], np.uint8)
  for _ in range(int(rng.integers(4))):
    image[0, 0, 2] = rng.integers(0, 7)
  image[..., 2] += np.uint8(100 * rng.random())
  return {**example, "image": image[:, ::-1], "label": example["label"][:, ::-1]}


def load(stop, *, start=0, batch_size=3, seed=0, source=NUMBERS, **options):
  return list(
    training_batches(source, add_noise, batch_size=batch_size, seed=seed, start=start, stop=stop, **options)
  )


def ids(batches):
  return [int(i) for batch in batches for i in batch["label"][:, 0, 0]]


def assert_same(batches, expected):
  assert len(batches) == len(expected)
  for one, other in zip(batches, expected, strict=True):
    assert set(one) == set(other) == {"image", "label"}
    np.testing.assert_array_equal(one["image"], other["image"])
    np.testing.assert_array_equal(one["label"], other["label"])


@pytest.fixture(scope="module")
def batches():
  return load(14)


def test_batches_pair_images_and_labels(batches):
  for batch in batches:
    assert batch["image"].shape == (3, 4, 5, 3)
    assert batch["label"].shape == (3, 4, 5)
    assert batch["image"].dtype == batch["label"].dtype == np.uint8
    np.testing.assert_array_equal(batch["image"][..., 0], batch["label"])


class TestOrder:
  def test_every_epoch_has_every_example_once(self, batches):
    stream = ids(batches)  # 14 batches of 3: 6 epochs of 7, which 3 does not divide
    epochs = [tuple(stream[k : k + N]) for k in range(0, len(stream), N)]
    assert len(epochs) == 6
    assert all(sorted(epoch) == list(range(N)) for epoch in epochs)
    assert len(set(epochs)) == 6

  def test_batch_may_be_larger_than_the_source(self):
    stream = ids(load(7, batch_size=16, source=Numbers(8)))
    assert all(sorted(stream[k : k + 8]) == list(range(8)) for k in range(0, 112, 8))

  def test_seeds_give_different_streams(self, batches):
    other = load(14, seed=1)
    assert ids(other) != ids(batches)
    assert ids(other)[:N] != ids(batches)[N : 2 * N]  # nor is seed 1 the same stream an epoch later
    assert not any(
      np.array_equal(a["image"][..., 1], b["image"][..., 1]) for a, b in zip(other, batches, strict=True)
    )

  def test_every_augmentation_is_different(self, batches):
    noise = [image[..., 1].tobytes() for batch in batches for image in batch["image"]]
    assert len(noise) == len(set(noise)) == 42


class TestFunctionOfSeedAndStep:
  @pytest.mark.parametrize("start", [1, 2, 5, 13])
  def test_stream_can_start_at_any_step(self, batches, start):
    assert_same(load(14, start=start), batches[start:])

  def test_stream_can_start_at_a_large_step(self):
    far = 10**9
    assert_same(load(far + 2, start=far + 1), load(far + 2, start=far)[1:])

  @pytest.mark.parametrize("threads", [1, 4, 9])
  def test_thread_count_does_not_change_batches(self, batches, threads):
    assert_same(load(14, threads=threads), batches)

  @pytest.mark.parametrize(("workers", "start"), [(2, 0), (3, 12)])
  def test_worker_count_does_not_change_batches(self, batches, workers, start):
    assert_same(load(14, start=start, workers=workers), batches[start:])

  @pytest.mark.parametrize("workers", [0, 2])
  def test_empty_range_yields_no_batches(self, workers):
    assert load(5, start=5, workers=workers) == []

  @pytest.mark.parametrize("count", [2, 4])
  def test_shares_of_processes_form_the_global_batch(self, count):
    whole = load(9, batch_size=4)
    parts = [load(9, batch_size=4, process_index=index, process_count=count) for index in range(count)]
    assert all(part[0]["label"].shape == (4 // count, 4, 5) for part in parts)
    together = [
      {key: np.concatenate([part[step][key] for part in parts]) for key in ("image", "label")}
      for step in range(9)
    ]
    assert_same(together, whole)

  def test_shares_with_a_late_start_and_workers(self):
    whole = load(9, batch_size=4)
    part = load(9, start=4, batch_size=4, process_index=1, process_count=2, workers=2)
    assert_same(part, [{key: value[2:] for key, value in batch.items()} for batch in whole[4:]])


class TestErrors:
  def test_empty_source_is_rejected(self):
    with pytest.raises(ValueError, match="the training split is empty"):
      load(1, source=Numbers(0))

  @pytest.mark.parametrize(("batch_size", "count"), [(3, 2), (2, 4), (0, 1), (-2, 2)])
  def test_indivisible_batch_size_is_rejected(self, batch_size, count):
    with pytest.raises(ValueError, match=f"positive multiple of the {count} processes, got {batch_size}"):
      load(1, batch_size=batch_size, process_count=count)

  @pytest.mark.parametrize("workers", [0, 2])
  def test_error_of_the_source_reaches_the_consumer(self, workers):
    with pytest.raises(ValueError, match=r"train/0003\.jpg: not a readable image"):
      load(N, source=Broken(), workers=workers)
