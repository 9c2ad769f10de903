"""Batches of images by size: each image once, within a bound of memory."""

import numpy as np

from tests.helpers.evaluation import GeneratedExamples, examples, peak_memory
from train.evaluation.batching import batches_by_size


def test_batches_hold_each_image_once_within_the_memory_bound():
  """Above the memory bound the oldest group is yielded as a smaller batch."""
  sizes = [(4, 4), (4, 6), (4, 4), (4, 4), (4, 6), (2, 2), (4, 4)]  # of 64, 96 and 16 bytes
  source = examples(sizes)
  for limit, expected in (
    (10**6, [[0, 2], [1, 4], [3, 6], [5]]),
    (100, [[0], [1], [2, 3], [4], [5], [6]]),
    (0, [[0], [1], [2], [3], [4], [5], [6]]),
  ):
    ids = [
      [int(e["id"][-3:]) for e in batch] for batch in batches_by_size(source, 2, max_buffered_bytes=limit)
    ]
    assert ids == expected
  assert [len(batch) for batch in batches_by_size(source, 3, multiple=8)] == [3, 3, 1]
  unlabeled = [{"id": "x", "image": np.zeros((4, 4, 3), np.uint8)}]
  assert list(batches_by_size(unlabeled, 3)) == [unlabeled]


def test_buffered_images_do_not_accumulate():
  """Every image has another size: without the bound, all would be buffered."""

  def peak(count, limit):
    source = GeneratedExamples(count, lambda index: (40 + index // 50, 40 + index % 50))
    return peak_memory(
      lambda: sum(len(b) for b in batches_by_size(source, 4, max_buffered_bytes=limit)), count
    )

  assert peak(200, 10**5) < 1.2 * peak(100, 10**5)
  assert peak(200, 10**9) > 1.8 * peak(100, 10**9), "the measurement includes buffered images"


def test_batches_have_one_size_and_at_most_the_batch_size():
  sizes = [(4, 4), (4, 6), (4, 4), (4, 4), (4, 6), (2, 2)]
  source = [{"id": i, "label": np.zeros(size, np.uint8)} for i, size in enumerate(sizes)]
  batches = list(batches_by_size(source, 2))
  assert sorted(e["id"] for batch in batches for e in batch) == [0, 1, 2, 3, 4, 5]
  assert all(len({e["label"].shape for e in batch}) == 1 and len(batch) <= 2 for batch in batches)
