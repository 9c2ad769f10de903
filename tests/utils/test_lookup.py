"""Looking up names, and the suggestions for misspelled ones."""

import pytest

from ppool_jax.utils.lookup import closest, did_you_mean, lookup

TABLE = {"max": 1, "mixed": 2, "soft": 3}


def test_lookup_returns_the_entry():
  assert lookup("mixed", TABLE, "pool") == 2


@pytest.mark.parametrize(
  ("name", "hint"), [("mixd", r" \(did you mean 'mixed'\?\)"), ("zzz", ""), (None, "")]
)
def test_lookup_error_lists_the_names_and_suggests_one(name, hint):
  with pytest.raises(ValueError, match=rf"^pool: expected one of max, mixed, soft, got .*{hint}$"):
    lookup(name, TABLE, "pool")


def test_closest_respects_the_cutoff():
  assert closest("mxd", TABLE, cutoff=0.5) == "mixed"
  assert closest("zzz", TABLE) is None
  assert did_you_mean("zzz", TABLE) == ""
