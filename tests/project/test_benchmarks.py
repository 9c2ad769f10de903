"""The benchmarks' command lines, counts and tables; no timing."""

import importlib
import json
import pathlib
import subprocess
import sys

import pytest

from benchmarks import steps, training
from benchmarks.planning import table
from benchmarks.steps import Case
from tests.helpers.training import ROOT

pytestmark = pytest.mark.optimized

NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text())
RESULTS = ROOT / "benchmarks/results"


def test_operations_are_counted_before_they_become_calls(monkeypatch):
  """On a GPU the compiled program calls libraries, whose operations the compiler does not count."""
  measure_program, costs = steps.measure_program, []

  def without_calls(compiled):
    costs.append(measure_program(compiled))
    return costs[-1]._replace(flops=-1.0)

  monkeypatch.setattr(steps, "measure_program", without_calls)
  case = Case("vgg_mini", "ppool", "float32", (32, 48), 1)
  rows = training.time_steps([case], 1, peak=None)
  assert rows[str(case)]["gflop"] == pytest.approx(costs[0].flops / 1e9, rel=0.05)


def test_an_accelerator_has_more_to_do():
  assert training.workload(None, None, accelerator=False) == (2, (180, 240))
  assert training.workload(None, None, accelerator=True) == (8, (360, 480))
  assert training.workload(3, (65, 65), accelerator=True) == (3, (65, 65))


HELP = """
import contextlib, importlib, io, sys
import ppool_jax.figures.surfaces
for name in sys.argv[1:]:
  module, shown = importlib.import_module(f"benchmarks.{name}"), io.StringIO()
  sys.argv = [name, "--help"]
  with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
    module.main()
  assert shown.getvalue().startswith(f"usage: python -m benchmarks.{name} "), shown.getvalue()
"""


def test_help_starts_no_device(tmp_path):
  """Starting a device would fail: no platform has this name."""
  environment = {"JAX_PLATFORMS": "none", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
  done = subprocess.run(
    [sys.executable, "-c", HELP, *NAMES], env=environment, capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  assert len(NAMES) == 10


@pytest.mark.parametrize(
  ("command", "message"),
  [
    ("training --size 180", "--size: expected HEIGHTxWIDTH such as 512x1024, got '180'"),
    ("training --size 0x8", "--size: expected HEIGHTxWIDTH such as 512x1024, got '0x8'"),
    ("training --networks vgg17", "--networks: invalid choice: 'vgg17'"),
    ("training --dtypes float99", "--dtypes: invalid choice: 'float99'"),
    ("training --rounds 0", "--rounds: expected a whole number of at least 1, got '0'"),
    ("training --batch -1", "--batch: expected a whole number of at least 1, got '-1'"),
    ("training --out .", "--out: .: expected a file, but it is a folder"),
    ("pooling --shape 2,8,8", "--shape: expected N,H,W,C such as 2,224,224,64, got '2,8,8'"),
    ("pooling --shape 2,7,8,1", "--shape: expected an even height and width, got '2,7,8,1'"),
    ("pooling --out no/a.json", "--out: no/a.json: expected a file in a folder that is there"),
    ("saving --networks vgg17", "--networks: invalid choice: 'vgg17'"),
    ("saving --folder no", "--folder: expected an existing folder, got 'no'"),
    ("scaling --batch 0", "--batch: expected a whole number of at least 1, got '0'"),
    ("scaling --out .", "--out: .: expected a file, but it is a folder"),
    ("tpu_bytes --out no/a.json", "--out: no/a.json: expected a file in a folder that is there"),
    ("planning --out .", "--out: .: expected a file, but it is a folder"),
    ("planning --table", "--table: expected the file of an earlier sweep by --out, got None"),
    ("input --batches 1.5", "--batches: expected a whole number of at least 1, got '1.5'"),
    ("near_max --weights vgg16", "--weights: expected NAME=FILE, NAME of vgg16, "),
  ],
)
def test_bad_arguments(command, message, monkeypatch, capsys):
  name, *_ = words = command.split()
  monkeypatch.setattr(sys, "argv", words)
  with pytest.raises(SystemExit) as ended:
    importlib.import_module(f"benchmarks.{name}").main()
  assert ended.value.code == 2
  assert message in capsys.readouterr().err


def _plans() -> dict:
  return json.loads((RESULTS / "plan-v5e.json").read_text())["plans"]


def test_the_table_of_the_docs():
  """The table is made of the stored plans; VGG-16 with max pooling was planned for both slices."""
  shown = table(_plans().values())
  rows = [line for line in shown.splitlines() if line.startswith("|")]
  assert len(rows) == 2 + 8
  assert "\n".join(rows) in pathlib.Path(ROOT / "docs/PODS.md").read_text()
  assert "checked for vgg16, float32, max." in shown


def test_plans_of_the_largest_slice():
  plans = _plans()
  (key,) = (key for key, plan in plans.items() if plan["topology"] == "v5e:16x16")
  large = plans.pop(key)
  assert "No plan for v5e:16x16" in table(plans.values())
  with pytest.raises(ValueError, match="vgg16, float32, max: flops_per_chip: expected the same"):
    table([*plans.values(), {**large, "flops_per_chip": 1.0}])
  with pytest.raises(ValueError, match="there are others"):
    table([*plans.values(), {**large, "topology": "v5e:4x4"}])
