"""python -m benchmarks.compare prints every figure that changed."""

import json
import sys

import pytest

from benchmarks import compare as program
from benchmarks.compare import compare, differences, figures, print_comparison

BEFORE = {"machine": {"cores": 2}, "steps": {"max": {"ms": 10.0}, "ppool": {"ms": 11.0}, "avg": {"ms": 0}}}

AFTER = {"machine": {"cores": 4}, "steps": {"max": {"ms": 10.0}, "ppool": {"ms": 22.0}}, "rows": [{"mib": 3}]}


def test_figures_by_path():
  tree = {"a": {"b": 1, "c": [2.5, {"d": 3}]}, "text": "x", "flag": True, "none": None}
  assert figures(tree) == {"a.b": 1, "a.c.0": 2.5, "a.c.1.d": 3}


def test_rows_are_matched_by_identity():
  rows = [
    {"network": "vgg16", "pool": pool, "devices": n, "mib": n} for pool in ("max", "avg") for n in (1, 2)
  ]
  assert figures({"rows": rows})["rows.vgg16 avg 2.mib"] == 2
  shapes = [{"name": "copy", "shape": [side, 4], "ms": side} for side in (3, 7)]
  before, after = {"rows": shapes}, {"rows": [{"name": "new", "ms": 1}, *shapes[::-1]]}
  changes = {name: change for name, _, _, change in compare(before, after)}
  assert changes["rows.copy [7, 4].ms"] == 1
  assert changes["rows.new.ms"] is None


def test_plans_are_matched_by_identity():
  """The keys of plans are digests; plans with equal names are numbered."""
  plan = {"network": "vgg16", "pool": "max", "dtype": "float32", "topology": "v5e:2x4", "batch": 8}
  before, after = ({"plans": {key: {**plan, "bytes": size}}} for key, size in (("3f0f", 2), ("712a", 3)))
  name = "plans.vgg16 max float32 v5e:2x4 8"
  assert (f"{name}.bytes", 2, 3, 1.5) in compare(before, after)
  after["plans"]["8c1d"] = {**plan, "bytes": 4}
  assert figures(after)[f"{name} (2).bytes"] == 4


def test_two_files_are_compared_figure_by_figure():
  assert compare(BEFORE, AFTER) == [
    ("steps.max.ms", 10.0, 10.0, 1.0),
    ("steps.ppool.ms", 11.0, 22.0, 2.0),
    ("steps.avg.ms", 0, None, None),
    ("rows.0.mib", None, 3, None),
  ]


def test_changes_are_printed(capsys):
  print_comparison(json.loads(json.dumps(BEFORE)), AFTER, above=1.5)
  text = capsys.readouterr().out
  assert "machine.cores: 2 before, 4 after" in text
  assert "steps.ppool.ms" in text
  assert "2.000" in text
  assert "steps.max.ms" not in text
  assert "missing" in text


@pytest.mark.parametrize(
  ("old", "new", "shown"),
  [
    (1, 1.05, False),
    (1, 0.5, True),
    (-1, -1.05, False),
    (-1, -2, True),
    (1, -1, True),
    (-1, 1, True),
    (0, 3, True),
    (3, 0, True),
    (0, 0, False),
    (1, float("nan"), True),
    (float("nan"), 1, True),
    (float("nan"), float("nan"), True),
    (1, float("inf"), True),
  ],
)
def test_changes_of_the_factor_or_none_are_printed(old, new, shown, capsys):
  print_comparison({"figure-of-it": old}, {"figure-of-it": new}, above=1.1)
  assert ("figure-of-it" in capsys.readouterr().out) == shown


def test_differences_of_texts_and_machines_are_listed():
  rows = [{"name": name, "kind": "new"} for name in ("a", "b")]
  before = {"jax": "0.10.2", "dtype": "float32", "rows": [{**row, "kind": "old"} for row in rows]}
  after = {
    "jax": "0.10.2",
    "dtype": "bfloat16",
    "rows": [*rows, {"name": "c", "kind": "new"}],
    "topology": "v5e",
  }
  assert differences(before, after) == [
    "dtype: float32 before, bfloat16 after",
    "kind of 2 rows: old before, new after",
    "topology: missing before, v5e after",
  ]
  assert differences({"a": {"machine": {"cores": 2}}}, {"a": {"machine": {"cores": 4}}}) == [
    "a.machine.cores: 2 before, 4 after"
  ]


def test_long_names_are_not_cut(capsys):
  name = "programs.vgg16_with_a_name_that_is_longer_than_any_line_of_a_terminal" * 2
  print_comparison({name: 1}, {name: 2}, above=1.0)
  shown = "".join(line[1:].split("│")[0].strip() for line in capsys.readouterr().out.splitlines()[3:-1])
  assert shown == name


@pytest.mark.parametrize(("content", "wrong"), [("[1]", "got list"), ("{", "expected JSON, but it is not")])
def test_files_without_a_json_object_are_named(content, wrong, tmp_path, monkeypatch):
  good, bad = tmp_path / "good.json", tmp_path / "bad.json"
  good.write_text("{}")
  bad.write_text(content)
  monkeypatch.setattr(sys, "argv", ["compare", str(good), str(bad)])
  with pytest.raises(ValueError, match=rf"bad\.json: .*{wrong}"):
    program.main()


@pytest.mark.parametrize("factor", ["0.9", "nan", "more"])
def test_a_factor_below_one_is_refused(factor, monkeypatch, capsys):
  monkeypatch.setattr(sys, "argv", ["compare", "a", "b", f"--above={factor}"])
  with pytest.raises(SystemExit):
    program.main()
  assert f"--above: expected a factor of at least 1, got '{factor}'" in capsys.readouterr().err
