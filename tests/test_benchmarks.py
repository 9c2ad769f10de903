"""The parts of the benchmarks that are no timing."""

import json

from benchmarks.compare import compare, figures, print_comparison

BEFORE = {"machine": {"cores": 2}, "steps": {"max": {"ms": 10.0}, "ppool": {"ms": 11.0}, "avg": {"ms": 0}}}
AFTER = {"machine": {"cores": 4}, "steps": {"max": {"ms": 10.0}, "ppool": {"ms": 22.0}}, "rows": [{"mib": 3}]}


def test_figures_by_path():
  tree = {"a": {"b": 1, "c": [2.5, {"d": 3}]}, "text": "x", "flag": True, "none": None}
  assert figures(tree) == {"a.b": 1, "a.c.0": 2.5, "a.c.1.d": 3}


def test_rows_are_compared_by_what_they_are_of():
  rows = [
    {"network": "vgg16", "pool": pool, "devices": n, "mib": n} for pool in ("max", "avg") for n in (1, 2)
  ]
  assert figures({"rows": rows})["rows.vgg16 avg 2.mib"] == 2
  shapes = [{"name": "copy", "shape": [side, 4], "ms": side} for side in (3, 7)]
  before, after = {"rows": shapes}, {"rows": [{"name": "new", "ms": 1}, *shapes[::-1]]}
  changes = {name: change for name, _, _, change in compare(before, after)}
  assert changes["rows.copy [7, 4].ms"] == 1
  assert changes["rows.new.ms"] is None


def test_two_files_are_compared_figure_by_figure():
  assert compare(BEFORE, AFTER) == [
    ("steps.max.ms", 10.0, 10.0, 1.0),
    ("steps.ppool.ms", 11.0, 22.0, 2.0),
    ("steps.avg.ms", 0, None, None),
    ("rows.0.mib", None, 3, None),
  ]


def test_what_changed_is_printed(capsys):
  print_comparison(json.loads(json.dumps(BEFORE)), AFTER, above=1.5)
  text = capsys.readouterr().out
  assert "machine.cores: 2 before, 4 after" in text
  assert "steps.ppool.ms" in text
  assert "2.000" in text
  assert "steps.max.ms" not in text
  assert "missing" in text
