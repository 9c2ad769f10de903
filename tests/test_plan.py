"""Planning: what is read from a compiled step, the estimate, the search, and real programs for TPU slices."""

import importlib.metadata
import importlib.util
import json
import math
import os
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from training_cases import ROOT, run, tiny_config

from train.config import load
from train.plan import main
from train.planning.chips import CHIPS, GIB, chip_of
from train.planning.compiled import Collective, Measures, collectives, measures
from train.planning.estimate import estimate
from train.planning.programs import Programs, check, lowered_step
from train.planning.report import Plan
from train.planning.search import largest_that_fits
from train.planning.slices import plan_slice, share_of
from train.planning.topology import devices_of

needs_libtpu = pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed: make env EXTRAS=plan"
)
# ml_collections' own way to load a config file.
loads_a_config = pytest.mark.filterwarnings(r"ignore:the load_module\(\) method:DeprecationWarning")
CONFIG = "--config=configs/quickstart.py"


@pytest.fixture(scope="module")
def step():
  """The train step of vgg_mini with batch norm over 8 devices of this machine: (state's shapes, compiled)."""
  lowered = lowered_step(tiny_config("pool=max", model__width=0.25), jax.devices(), 16)
  return lowered.args_info[0][0], lowered.compile()


def test_the_gradients_are_summed_over_the_devices(step):
  """Every byte of a step's collectives: gradients, moments of batch norm, and what is logged."""
  state, compiled = step
  size = sum(4 * math.prod(leaf.shape) for leaf in jax.tree.leaves(state.params))
  channels = sum(leaf.shape[0] for leaf in jax.tree.leaves(state.batch_stats)) // 2
  # Two sums forward and three in reverse, of which scale and bias are parameters.
  norm = 4 * channels * 3
  logged = 4 * (1 + 1 + 1 + 3)  # valid pixels, hits, loss, three wishes
  found = measures(compiled)
  assert set(found.collectives) == {"all-reduce"}
  assert found.collectives["all-reduce"].bytes == size + norm + logged


def test_memory_of_a_step(step):
  """The state is donated: the new one lies in its place."""
  state, compiled = step
  size = sum(leaf.dtype.itemsize * math.prod(leaf.shape) for leaf in jax.tree.leaves(state))
  found = measures(compiled)
  assert found.arguments == size + 2 * (32 * 48 * (3 + 1) + 3 * 4)  # + a device's images, labels and wishes
  assert found.aliased == size
  assert found.memory == found.arguments + found.outputs - size + found.temporaries + found.code
  assert found.flops > 0
  assert found.bytes > size


def _spread(function, inside: P, outside: P, devices=None) -> str:
  """The optimised program of a function of each device's [1, 8, 128] float32."""
  mesh = Mesh(np.array(devices or jax.devices()), ("i",))
  mapped = jax.shard_map(function, mesh=mesh, in_specs=inside, out_specs=outside, check_vma=False)
  x = jax.ShapeDtypeStruct((8, 8, 128), jnp.float32, sharding=NamedSharding(mesh, inside))
  return jax.jit(mapped).lower(x).compile().as_text()


ROUND = [(i, (i + 1) % 8) for i in range(8)]
KINDS = {
  "all-reduce": (lambda x: jax.lax.psum(x, "i"), P(), 4096),
  "all-gather": (lambda x: jax.lax.all_gather(x, "i", tiled=True), P(), 8 * 4096),
  "reduce-scatter": (lambda x: jax.lax.psum_scatter(x[0], "i", tiled=True)[None], P("i"), 512),
  "all-to-all": (lambda x: jax.lax.all_to_all(x, "i", 1, 1, tiled=True), P("i"), 4096),
  "collective-permute": (lambda x: jax.lax.ppermute(x, "i", ROUND), P("i"), 4096),
}


@pytest.mark.parametrize("kind", KINDS)
def test_collectives_by_kind(kind):
  function, outside, size = KINDS[kind]
  assert collectives(_spread(function, P("i"), outside)) == {kind: Collective(1, size)}


def test_a_loop_counts_each_turn():
  """A sum of each part is inside the loop, a sum of the total after it."""

  def each(x):
    return jax.lax.scan(
      lambda c, p: (c + jax.lax.psum(p * p, "i"), None), jnp.zeros((1, 128)), x.swapaxes(0, 1)
    )[0]

  def total(x):
    return jax.lax.psum(
      jax.lax.scan(lambda c, p: (c + p * p, None), jnp.zeros((1, 128)), x.swapaxes(0, 1))[0], "i"
    )

  inside, outside = (_spread(function, P("i"), P()) for function in (each, total))
  assert collectives(inside, loop=8) == {"all-reduce": Collective(8, 8 * 512)}
  assert collectives(outside, loop=8) == {"all-reduce": Collective(1, 512)}


def test_accumulation_multiplies_the_work(step):
  """A loop's inside is counted once by the compiler: the parts together do what the whole does."""
  whole = measures(step[1])
  config = tiny_config("pool=max", model__width=0.25, accumulate=2)
  parts = measures(lowered_step(config, jax.devices(), 16).compile(), 2)
  assert parts.flops == pytest.approx(whole.flops, rel=0.05)
  assert parts.temporaries < 0.7 * whole.temporaries
  sums = [found.collectives["all-reduce"].bytes for found in (parts, whole)]
  assert sums[0] == pytest.approx(2 * sums[1], rel=0.01)


PROGRAM = Measures(0, 0, 0, 0, 0, 3 * 10**6, 197e9, 819e7, {"all-reduce": Collective(3, 80_000_000)})


def test_the_estimate():
  """197 GFLOP at 197 TFLOP/s, 8.19 GB at 819 GB/s, 2 x 7/8 x 80 MB at 200 GB/s."""
  found = estimate(PROGRAM, CHIPS["v5e"], 8)
  assert found == pytest.approx((1e-3, 10e-3, 0.7e-3))
  assert (found.step, found.bound) == (pytest.approx(10.7e-3), "memory")
  assert estimate(PROGRAM._replace(bytes=0.0), CHIPS["v5e"], 8).step == pytest.approx(1.7e-3)
  assert estimate(PROGRAM, CHIPS["v5e"], 256).collectives == pytest.approx(2 * 255 / 256 * 0.4e-3)
  for kind, sent in (
    ("all-gather", 7 / 8),
    ("reduce-scatter", 7),
    ("all-to-all", 7 / 8),
    ("collective-permute", 1),
  ):
    other = PROGRAM._replace(collectives={kind: Collective(1, 200_000_000)})
    assert estimate(other, CHIPS["v5e"], 8).collectives == pytest.approx(sent * 1e-3), kind


def test_the_report():
  plan = Plan("v5e:2x4", 8, 2, PROGRAM._replace(arguments=GIB, outputs=GIB, aliased=GIB, temporaries=GIB), 7)
  shown = str(plan)
  for part in (
    "8 chips, batch 16 (2 a chip)",
    "2.00 of 16 GiB",
    "3.0 MB alive at once, on-chip memory included",
    "197.0 GFLOP and 8.2 GB moved",
    "3 all-reduce 80.0 MB",
    "10.70 ms a step, 1,495 images/s",
    "the larger of 1.00 ms computing and 10.00 ms memory, and 0.70 ms collectives",
    "largest      batch 56 (7 a chip)",
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
def test_the_largest_that_fits(base, each, more, start, squeezed):
  """However memory grows, also in groups alone, and although the compiler squeezes what is too large."""

  def fits(batch):
    used = base + each * batch + (more if batch % 8 else 0)
    used -= int(squeezed * max(0, used - 3000))
    tried.setdefault(batch, used <= 3150)
    return tried[batch]

  tried = {}
  found = largest_that_fits(fits, start)
  assert found == 0 or tried[found]
  assert not any(fits(batch) for batch in range(found + 1, found + 17))
  assert sum(tried.values()) <= 16, tried


def test_a_full_group_fits_where_fewer_images_do_not():
  """As measured for a v5e, where nine images of ResNet-50 need more than sixteen."""
  assert largest_that_fits(lambda batch: batch <= 8 or batch == 16, 40) == 16


@pytest.mark.parametrize(
  ("start", "tries"),
  [
    (13, [16, 8, 15, 14, 13]),
    (8, [8, 16, 15, 14, 13]),
    (104, [104, 48, 24, 8, 16, 15, 14, 13]),
  ],
)
def test_the_search_compiles_little(start, tries):
  """What is refused takes seconds: few that fit are tried."""
  tried = []
  assert largest_that_fits(lambda batch: tried.append(batch) or batch <= 13, start) == 13
  assert tried == tries


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
    ([CONFIG, "--topology", "v5e:2x4", "--fast"], "Unknown command line flag 'fast'"),
    ([CONFIG, "--topology", "v5e:2x4", "--config.stepz=1"], "did you mean 'steps'?"),
  ],
)
def test_bad_arguments(flags, message, monkeypatch):
  monkeypatch.setattr(sys, "argv", ["train.plan", *flags])  # ml_collections reads it, too
  with pytest.raises(ValueError, match=re.escape(message)):
    main(sys.argv[1:])


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"batch": 0}, "batch: expected at least 1, got 0"),
    ({"batch": -8}, "batch: expected at least 1, got -8"),
    ({"accumulate": 0}, "accumulate: expected at least 1, got 0"),
    ({"model__norm": "local"}, 'a plan compiles the step as parallel="jit" spreads it, and only "pmap" can'),
    ({"model__norm": "group"}, "norm: expected one of sync, local, frozen, got 'group'"),
    ({"pool": "biggest"}, "pool: expected one of max, avg"),
    ({"dtype": "float99"}, "dtype: expected one of float32, bfloat16, got 'float99'"),
    ({"loss__normalise": "batch"}, "loss.normalise: expected one of pixel, image"),
  ],
)
def test_a_config_is_refused_before_compiling(changes, message):
  with pytest.raises(ValueError, match=re.escape(message)):
    check(tiny_config("pool=max", **changes))


@loads_a_config
def test_the_command_line_checks_the_config():
  status, shown = run(
    ["train.plan", CONFIG, "--topology", "v5e:2x4", "--config.batch=0", "--config.model.width=0.25"]
  )
  assert status == 1
  assert shown.startswith("error: batch: expected at least 1, got 0"), shown
  assert "compiling" not in shown


def test_files_that_are_refused(tmp_path, monkeypatch):
  """A path that cannot be written, and a file of something else, which stays what it is."""
  for path, message in ((tmp_path, "it is a folder"), (tmp_path / "no/plan.json", "there is no folder")):
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}: .*{message}"):
      Programs(path)
  assert not list(tmp_path.iterdir())
  path = tmp_path / "plan.json"
  for content in ("", "not JSON", "[1]", "{}", '{"plans": {}}', '{"plans": [], "programs": {}}',
                  '{"plans": {}, "programs": {}, "rows": []}', b"\xff"):  # fmt: skip
    path.write_bytes(raw := content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=re.escape(f"{path}: expected")):
      Programs(path)
    assert path.read_bytes() == raw
  path.write_text('{"plans": {"a": {}}, "programs": {}}')
  assert Programs(path).plans == {"a": {}}
  monkeypatch.setattr(os, "access", lambda *_: False)
  with pytest.raises(ValueError, match="is not writable"):
    Programs(path)


def test_without_libtpu(monkeypatch):
  monkeypatch.setitem(sys.modules, "libtpu", None)
  with pytest.raises(ImportError, match="make env EXTRAS=plan"):
    devices_of("v5e:2x4")


@needs_libtpu
@pytest.mark.parametrize("chip", CHIPS)
def test_every_slice_is_one(chip):
  """libtpu has each slice of the table, with as many devices as its shape has chips."""
  for shape in CHIPS[chip].slices:
    devices = devices_of(f"{chip}:{shape}")
    assert len(devices) == math.prod(map(int, shape.split("x")))
    assert {d.platform for d in devices} == {"tpu"}
    assert chip_of(f"{chip}:{shape}").name == chip


@needs_libtpu
def test_a_plan(tmp_path):
  """A real program for eight v5e chips; asked again, nothing is compiled; what cannot fit is said."""
  out = tmp_path / "plan.json"
  flags = [
    "train.plan",
    CONFIG,
    "--config.model.width=0.25",
    "--config.data.crop=(32, 32)",
    "--config.batch=12",
  ]
  flags += ["--topology", "v5e:2x4", "--no-search", f"--out={out}"]
  status, shown = run(flags)
  assert status == 0, shown
  assert "batch 12 does not divide over 8 chips: planned with 1 a chip" in shown
  assert "v5e:2x4: 8 chips, batch 8 (1 a chip)" in shown
  assert "WARNING" not in shown, shown
  assert "Error" not in shown, shown
  kept = json.loads(out.read_text())
  (plan,), (program,) = kept["plans"].values(), kept["programs"].values()
  assert program["libtpu"] == plan["libtpu"] == importlib.metadata.version("libtpu")
  assert program["machine"].keys() == {"device", "platform", "cores", "python", "jax"}
  config = load(f"{ROOT}/configs/quickstart.py")
  config.update_from_flattened_dict({"model.width": 0.25, "data.crop": (32, 32), "batch": 12})
  here = measures(lowered_step(config, jax.devices(), 8).compile())
  assert plan["collectives"]["all-reduce"]["bytes"] == pytest.approx(
    here.collectives["all-reduce"].bytes, rel=0.02
  )
  assert plan["memory_per_chip"] > program["measures"]["arguments"] > here.arguments
  assert 0.5 < plan["flops_per_chip"] / here.flops < 2
  assert plan["estimated_seconds"]["step"] >= plan["estimated_seconds"]["memory"] > 0

  again = Programs(out)
  plan_slice(again, config, "v5e:2x4", share_of(config, "v5e:2x4"))
  assert json.loads(out.read_text()) == kept, "the program is the same: nothing was compiled"

  config.accumulate = 4
  assert [share_of(config, f"v5e:{shape}") for shape in ("2x4", "2x2")] == [4, 4]
  config.batch = 64
  assert [share_of(config, f"v5e:{shape}") for shape in ("2x4", "2x2")] == [8, 16]
  with pytest.raises(ValueError, match="expected a multiple of accumulate=4, got 6"):
    plan_slice(again, config, "v5e:2x4", 6)

  status, shown = run([*flags, "--batch-per-chip=400000"])
  assert status == 0, shown
  assert "memory       does not fit" in shown
