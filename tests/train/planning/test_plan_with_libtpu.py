"""Plans of TPU slices, compiled by the TPU's compiler."""

import importlib.metadata
import importlib.util
import json
import math

import jax
import pytest

from tests.helpers.training import ROOT, run
from train.experiment.pooling_config import resolve_pooling
from train.planning.chips import CHIPS, lookup_chip
from train.planning.lower_step import lower_train_step
from train.planning.program_cache import ProgramCache
from train.planning.program_cost import measure_program
from train.planning.slices import batch_per_chip, plan_slice
from train.planning.topology import topology_devices
from train.utils.config import load_config

pytestmark = pytest.mark.optimized

needs_libtpu = pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed: make env EXTRAS=plan"
)
CONFIG = "--config=configs/quickstart.py"


@needs_libtpu
@pytest.mark.parametrize("chip", CHIPS)
def test_libtpu_has_every_slice(chip):
  """libtpu has each slice of the table, with as many devices as its shape has chips."""
  for shape in CHIPS[chip].slices:
    devices = topology_devices(f"{chip}:{shape}")
    assert len(devices) == math.prod(map(int, shape.split("x")))
    assert {d.platform for d in devices} == {"tpu"}
    assert lookup_chip(f"{chip}:{shape}").name == chip


@needs_libtpu
def test_a_plan_of_eight_chips_is_cached(tmp_path):
  """A program for eight v5e chips; a second call compiles nothing; a batch that does not fit is reported."""
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
  assert json.loads(out.read_text()) == kept, "the same program is not compiled again"

  config.grad_accum_steps = 4
  assert [batch_per_chip(config, f"v5e:{shape}") for shape in ("2x4", "2x2")] == [4, 4]
  config.batch_size = 64
  assert [batch_per_chip(config, f"v5e:{shape}") for shape in ("2x4", "2x2")] == [8, 16]
  with pytest.raises(ValueError, match="expected a multiple of grad_accum_steps=4, got 6"):
    plan_slice(again, config, "v5e:2x4", 6)

  status, shown = run([*flags, "--batch-per-chip=400000"])
  assert status == 0, shown
  assert "memory       does not fit" in shown
