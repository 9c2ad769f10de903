"""The estimate of the step time, the text of a plan, and the search for the largest batch."""

import pytest
from hypothesis import given, strategies as st

from train.planning.chips import CHIPS, GIB
from train.planning.estimate import estimate_step_time
from train.planning.plan import Plan
from train.planning.program_cost import Collective, ProgramCost
from train.planning.search import find_largest_batch

PROGRAM = ProgramCost(0, 0, 0, 0, 0, 3 * 10**6, 197e9, 819e7, {"all-reduce": Collective(3, 80_000_000)})


def test_the_step_time_is_a_roofline():
  """197 GFLOP at 197 TFLOP/s, 8.19 GB at 819 GB/s, 2 x 7/8 x 80 MB at 200 GB/s."""
  found = estimate_step_time(PROGRAM, CHIPS["v5e"], 8)
  assert found == pytest.approx((1e-3, 10e-3, 0.7e-3))
  assert (found.step, found.bound) == (pytest.approx(10.7e-3), "memory")
  assert estimate_step_time(PROGRAM._replace(bytes=0.0), CHIPS["v5e"], 8).step == pytest.approx(1.7e-3)
  assert estimate_step_time(PROGRAM, CHIPS["v5e"], 256).collectives == pytest.approx(2 * 255 / 256 * 0.4e-3)
  for kind, sent in (
    ("all-gather", 7 / 8),
    ("reduce-scatter", 7),
    ("all-to-all", 7 / 8),
    ("collective-permute", 1),
  ):
    other = PROGRAM._replace(collectives={kind: Collective(1, 200_000_000)})
    assert estimate_step_time(other, CHIPS["v5e"], 8).collectives == pytest.approx(sent * 1e-3), kind


def test_a_plan_as_text_and_json():
  plan = Plan("v5e:2x4", 8, 2, PROGRAM._replace(arguments=GIB, outputs=GIB, aliased=GIB, temporaries=GIB), 7)
  shown = str(plan)
  for part in (
    "8 chips, batch 16 (2 per chip)",
    "2.00 of 16 GiB",
    "3.0 MB alive at once, on-chip memory included",
    "197.0 GFLOP and 8.2 GB moved",
    "3 all-reduce 80.0 MB",
    "10.70 ms per step, 1,495 images/s",
    "the larger of 1.00 ms compute and 10.00 ms memory, plus 0.70 ms collectives",
    "largest      batch 56 (7 per chip)",
  ):
    assert part in shown, (part, shown)
  assert plan.as_dict()["largest_batch"] == 56
  assert plan.as_dict()["estimated_seconds"]["step"] == pytest.approx(10.7e-3)
  refused = plan._replace(program=None, largest=0)
  assert "does not fit" in str(refused)
  assert refused.as_dict() == {
    "topology": "v5e:2x4",
    "chips": 8,
    "batch": 16,
    "largest_batch": 0,
    "fits": False,
  }


@given(st.integers(0, 3000), st.integers(5, 900), st.integers(0, 200), st.integers(1, 40), st.floats(0, 0.8))
def test_the_largest_batch_is_found(base, each, more, start, shrink):
  """Memory may grow in groups only, and the compiler may shrink a program that is too large."""

  def fits(batch):
    used = base + each * batch + (more if batch % 8 else 0)
    used -= int(shrink * max(0, used - 3000))
    tried.setdefault(batch, used <= 3150)
    return tried[batch]

  tried = {}
  found = find_largest_batch(fits, start)
  assert found == 0 or tried[found]
  assert not any(fits(batch) for batch in range(found + 1, found + 17))
  assert sum(tried.values()) <= 16, tried


def test_a_full_group_fits_where_fewer_images_do_not():
  """Measured for a v5e: nine images of ResNet-50 need more memory than sixteen."""
  assert find_largest_batch(lambda batch: batch <= 8 or batch == 16, 40) == 16


@pytest.mark.parametrize(
  ("start", "tries"),
  [
    (13, [16, 8, 15, 14, 13]),
    (8, [8, 16, 15, 14, 13]),
    (104, [104, 48, 24, 8, 16, 15, 14, 13]),
  ],
)
def test_the_search_compiles_few_that_fit(start, tries):
  """A refusal takes seconds, a compilation minutes: few candidates that fit are tried."""
  tried = []
  assert find_largest_batch(lambda batch: tried.append(batch) or batch <= 13, start) == 13
  assert tried == tries
