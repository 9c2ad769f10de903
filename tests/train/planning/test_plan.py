"""Planning: the command line, its files, and real programs for TPU slices."""

import importlib.metadata
import importlib.util
import json
import math
import os
import re
import sys

import jax
import pytest

from tests.helpers.training import ROOT, run, tiny_config
from train.experiment.pooling_config import resolve_pooling
from train.plan import main
from train.planning.chips import CHIPS, lookup_chip
from train.planning.lower_step import check_config, lower_train_step
from train.planning.program_cache import ProgramCache
from train.planning.program_cost import measure_program
from train.planning.slices import batch_per_chip, plan_slice
from train.planning.topology import topology_devices
from train.utils.config import load_config

needs_libtpu = pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed: make env EXTRAS=plan"
)
# ml_collections' own way to load a config file.
loads_a_config = pytest.mark.filterwarnings(r"ignore:the load_module\(\) method:DeprecationWarning")
CONFIG = "--config=configs/quickstart.py"


@loads_a_config
@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--topology", "v5e:2x4"], "expected --config=FILE.py:key"),
    ([CONFIG, "--topology", "v5e:3x3"], "--topology: expected v5e: with one of 2x2, 2x4, 4x4"),
    ([CONFIG, "--topology", "v5e:2x4", "tpu"], "--topology: expected CHIP:SHAPE, one of v5e:{2x2,2x4,"),
    (
      [CONFIG, "--topology", "v5e:2x4", "--batch-per-chip", "0"],
      "--batch-per-chip: expected a positive number, got 0",
    ),
    ([CONFIG, "--topology", "v5e:2x4", "--fast"], "unknown flag '--fast'"),
    ([CONFIG, "--topology", "v5e:2x4", "--config.stepz=1"], "did you mean 'steps'?"),
  ],
)
def test_bad_arguments(flags, message):
  with pytest.raises(ValueError, match=re.escape(message)):
    main(flags)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"batch_size": 0}, "batch_size: expected at least 1, got 0"),
    ({"batch_size": -8}, "batch_size: expected at least 1, got -8"),
    ({"grad_accum_steps": 0}, "grad_accum_steps: expected at least 1, got 0"),
    (
      {"model__norm": "local"},
      'a plan compiles the step for parallel="jit", and only "pmap" supports "local"',
    ),
    ({"model__norm": "group"}, "norm: expected one of sync, local, frozen, got 'group'"),
    ({"pool": "biggest"}, "pool: expected one of max, avg"),
    ({"dtype": "float99"}, "dtype: expected one of float32, bfloat16, got 'float99'"),
    ({"loss__normalize": "batch"}, "loss.normalize: expected one of pixel, image"),
  ],
)
def test_a_config_is_refused_before_compiling(changes, message):
  with pytest.raises(ValueError, match=re.escape(message)):
    check_config(tiny_config("pool=max", **changes))


@loads_a_config
def test_the_command_line_checks_the_config():
  status, shown = run(
    ["train.plan", CONFIG, "--topology", "v5e:2x4", "--config.batch_size=0", "--config.model.width=0.25"]
  )
  assert status == 1
  assert shown.startswith("error: batch_size: expected at least 1, got 0"), shown
  assert "compiling" not in shown


def test_files_that_are_refused(tmp_path, monkeypatch):
  """A path that cannot be written, and a file of something else, which stays what it is."""
  for path, message in ((tmp_path, "it is a folder"), (tmp_path / "no/plan.json", "there is no folder")):
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}: .*{message}"):
      ProgramCache(path)
  assert not list(tmp_path.iterdir())
  path = tmp_path / "plan.json"
  for content in ("", "not JSON", "[1]", "{}", '{"plans": {}}', '{"plans": [], "programs": {}}',
                  '{"plans": {}, "programs": {}, "rows": []}', b"\xff"):  # fmt: skip
    path.write_bytes(raw := content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=re.escape(f"{path}: expected")):
      ProgramCache(path)
    assert path.read_bytes() == raw
  path.write_text('{"plans": {"a": {}}, "programs": {}}')
  assert ProgramCache(path).plans == {"a": {}}
  monkeypatch.setattr(os, "access", lambda *_: False)
  with pytest.raises(ValueError, match="is not writable"):
    ProgramCache(path)


def test_without_libtpu(monkeypatch):
  monkeypatch.setitem(sys.modules, "libtpu", None)
  with pytest.raises(ImportError, match="make env EXTRAS=plan"):
    topology_devices("v5e:2x4")


@needs_libtpu
@pytest.mark.parametrize("chip", CHIPS)
def test_every_slice_is_one(chip):
  """libtpu has each slice of the table, with as many devices as its shape has chips."""
  for shape in CHIPS[chip].slices:
    devices = topology_devices(f"{chip}:{shape}")
    assert len(devices) == math.prod(map(int, shape.split("x")))
    assert {d.platform for d in devices} == {"tpu"}
    assert lookup_chip(f"{chip}:{shape}").name == chip


@needs_libtpu
def test_a_plan(tmp_path):
  """A real program for eight v5e chips; asked again, nothing is compiled; what cannot fit is said."""
  out = tmp_path / "plan.json"
  flags = [
    "train.plan",
    CONFIG,
    "--config.model.width=0.25",
    "--config.data.crop=(32, 32)",
    "--config.batch_size=12",
  ]
  flags += ["--topology", "v5e:2x4", "--no-search", f"--out={out}"]
  status, shown = run(flags)
  assert status == 0, shown
  assert "batch 12 does not divide over 8 chips: planned with 1 per chip" in shown
  assert "v5e:2x4: 8 chips, batch 8 (1 per chip)" in shown
  assert "WARNING" not in shown, shown
  assert "Error" not in shown, shown
  kept = json.loads(out.read_text())
  (plan,), (program,) = kept["plans"].values(), kept["programs"].values()
  assert program["libtpu"] == plan["libtpu"] == importlib.metadata.version("libtpu")
  assert program["machine"].keys() == {"device", "platform", "cores", "python", "jax"}
  config = resolve_pooling(load_config(f"{ROOT}/configs/quickstart.py"))
  config.update_from_flattened_dict({"model.width": 0.25, "data.crop": (32, 32), "batch_size": 12})
  here = measure_program(lower_train_step(config, jax.devices(), 8).compile())
  assert plan["collectives"]["all-reduce"]["bytes"] == pytest.approx(
    here.collectives["all-reduce"].bytes, rel=0.02
  )
  assert plan["memory_per_chip"] > program["measures"]["arguments"] > here.arguments
  assert 0.5 < plan["flops_per_chip"] / here.flops < 2
  assert plan["estimated_seconds"]["step"] >= plan["estimated_seconds"]["memory"] > 0

  again = ProgramCache(out)
  plan_slice(again, config, "v5e:2x4", batch_per_chip(config, "v5e:2x4"))
  assert json.loads(out.read_text()) == kept, "the program is the same: nothing was compiled"

  config.grad_accum_steps = 4
  assert [batch_per_chip(config, f"v5e:{shape}") for shape in ("2x4", "2x2")] == [4, 4]
  config.batch_size = 64
  assert [batch_per_chip(config, f"v5e:{shape}") for shape in ("2x4", "2x2")] == [8, 16]
  with pytest.raises(ValueError, match="expected a multiple of grad_accum_steps=4, got 6"):
    plan_slice(again, config, "v5e:2x4", 6)

  status, shown = run([*flags, "--batch-per-chip=400000"])
  assert status == 0, shown
  assert "memory       does not fit" in shown
