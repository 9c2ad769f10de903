"""The planning command refuses invalid arguments, configs and files."""

import os
import re
import sys

import pytest

from tests.helpers.training import run, tiny_config
from train.plan import main
from train.planning.lower_step import check_config
from train.planning.program_cache import ProgramCache
from train.planning.topology import topology_devices

# Raised by ml_collections when it loads a config file.
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
def test_invalid_arguments_are_refused(flags, message):
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


def test_unusable_cache_files_are_refused(tmp_path, monkeypatch):
  """A path that cannot be written, and a file with other contents, which is not changed."""
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


def test_missing_libtpu_is_an_error(monkeypatch):
  monkeypatch.setitem(sys.modules, "libtpu", None)
  with pytest.raises(ImportError, match="make env EXTRAS=plan"):
    topology_devices("v5e:2x4")
