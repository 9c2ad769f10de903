"""A study in real processes that is killed, resumed and shared by two processes ends in the same tables."""

import csv
import json
import time

import chex
import pytest

from tests.helpers.soak import wait_for
from tests.helpers.studies import study_file
from tests.helpers.training import program, run


def command(file, workdir, *more):
  return ["train.study", f"--study={file}", f"--workdir={workdir}", *more]


def finished(workdir):
  return len(list(workdir.glob("results/*/seed-*.json")))


def read_scores(workdir):
  """All results without times."""
  results = {}
  for path in sorted(workdir.glob("results/*/seed-*.json")):
    content = json.loads(path.read_text())
    results[str(path.relative_to(workdir))] = [content[key] for key in ("status", "step", "scores")]
  return results


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
  folder = tmp_path_factory.mktemp("study")
  workdir = folder / "undisturbed"
  status, output = run(command(study_file(folder), workdir))
  assert status == 0, output
  return workdir, output


def test_one_process_trains_all_and_reports(undisturbed):
  workdir, output = undisturbed
  assert finished(workdir) == 4
  for name in ("report.md", "report.csv", "report.tex", "report.png", "runs.csv", "results.json"):
    assert (workdir / name).stat().st_size > 0, name
  assert "report of 4 runs: " in output
  assert output.index("RUN max, seed 0") < output.index("RUN ppool, seed 0") < output.index("RUN max, seed 1")
  assert "ETA" in output
  assert (workdir / "runs" / "ppool" / "seed-1" / "summary.json").is_file()
  result = json.loads((workdir / "results" / "ppool" / "seed-1.json").read_text())
  assert result["config"]["alpha"]["name"] == "channel"
  assert result["scores"]["boundary_iou"] is not None
  chex.assert_equal(set(result["scores"]["trimap_miou"]), {"1", "2", "4", "8", "16", "32"})
  assert any(key.startswith("alpha/pool1/") for key in result["details"]["alpha"])


def test_study_killed_twice_and_run_by_two_processes(undisturbed, tmp_path):
  words = command(study_file(tmp_path), workdir := tmp_path / "disturbed")
  for goal in (0, 1):
    process = program(words)
    wait_for(
      process, lambda goal=goal: finished(workdir) >= goal and any(workdir.glob("runs/*/*/metrics.jsonl"))
    )
    time.sleep(0.5)
    process.kill()
    process.communicate()
  both = [program(words), program(words)]
  outputs = [process.communicate(timeout=300)[0] for process in both]
  assert [process.returncode for process in both] == [0, 0], outputs
  assert all("RUN " in output for output in outputs), outputs  # each trained a part
  status, output = run([*words, "--report"])
  assert status == 0, output
  chex.assert_equal(read_scores(workdir), read_scores(undisturbed[0]))
  assert (workdir / "report.csv").read_text() == (undisturbed[0] / "report.csv").read_text()
  with (workdir / "runs.csv").open() as file:
    assert [(row["variant"], row["seed"]) for row in csv.DictReader(file)] == [
      ("max", "0"), ("max", "1"), ("ppool", "0"), ("ppool", "1")
    ]  # fmt: skip


def test_run_by_index_and_merged_results(undisturbed, tmp_path):
  """--index trains one run; --merge copies the others from the results.json of another machine."""
  words = command(study_file(tmp_path), workdir := tmp_path / "study")
  status, output = run([*words, "--index=3"])
  assert status == 0, output
  assert [path.parent.name for path in workdir.glob("results/*/*")] == ["ppool"]
  status, output = run([*words, "--list"])
  assert status == 0, output
  assert output.count("to do") == 3
  assert output.count("mIoU") == 1
  status, output = run([*words, "--merge", str(undisturbed[0] / "results.json"), "--report"])
  assert status == 0, output
  assert "3 results merged" in output
  chex.assert_equal(read_scores(workdir), read_scores(undisturbed[0]))
