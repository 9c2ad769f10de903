"""Titles of runs in figures."""

import pathlib

from tests.helpers.training import tiny_config
from train.comparison.titles import distinct_titles, pool_title, workdir_names


def config(**fields):
  made = tiny_config()
  with made.unlocked():
    made.update(fields)
  return made


def test_titles_describe_the_pooling_and_are_distinct():
  alpha = "\N{GREEK SMALL LETTER ALPHA}"
  assert pool_title(config(pool="avg")) == "average pooling"
  assert pool_title(config(pool="ppool")) == "P-pooling"
  assert pool_title(config(pool="ppool", pool_kwargs={"alpha": 2.0})) == f"P-pooling, {alpha} = 2"
  assert (
    pool_title(config(pool="ppool", pool_kwargs={"alpha": "log_side_branch"})) == "P-pooling, log side branch"
  )
  named = config(
    pool="ppool", pool_kwargs={"alpha": ("channel", {"initial": 2.5})}, pool_stages=("pool3", "pool4")
  )
  assert pool_title(named) == f"P-pooling, {alpha} per channel, initial = 2.5, in pool3, pool4"
  workdirs = [pathlib.Path(name) for name in ("runs/a/max", "runs/b/max")]
  assert distinct_titles([config(), config(pool="dpp")], workdirs, (3, 3)) == ["max pooling", "DPP"]
  twice = distinct_titles([config(), config()], workdirs, (3, 3))
  assert twice == ["max pooling (a/max)", "max pooling (b/max)"]
  swept = [pathlib.Path(name) for name in ("runs/max/seed-0", "runs/ppool/seed-0")]
  assert distinct_titles([config(), config(pool="ppool")], swept, (3, 3)) == ["max pooling", "P-pooling"]
  steps = distinct_titles([config(), config()], swept[:1] * 2, (2, 3))
  assert steps == ["max pooling (step 2)", "max pooling (step 3)"]


def test_workdir_names_are_the_shortest_distinct_ends():
  def names(*paths):
    return workdir_names([pathlib.Path(path) for path in paths])

  assert names("runs/max", "runs/ppool") == ["max", "ppool"]
  assert names("runs/max/seed-0", "runs/ppool/seed-0") == ["max/seed-0", "ppool/seed-0"]
  assert names("a/max/seed-0", "a/max/seed-1", "b/max/seed-0") == [
    "a/max/seed-0",
    "a/max/seed-1",
    "b/max/seed-0",
  ]
  assert names("/seed-0", "/a/seed-0") == ["/seed-0", "a/seed-0"]
  assert names(".") == [pathlib.Path.cwd().name]
  assert names("runs/max", "runs/../runs/max", "runs/avg") == ["max", "max", "avg"]
