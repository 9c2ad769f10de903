"""One process set-up for all tests: eight simulated devices, and compiled programs kept on disk."""

import gc
import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

# Shared with other workers and with the programs that tests start.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(pathlib.Path(__file__).parents[1] / ".jax_cache")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"

import hypothesis
import pytest

from tests.helpers import quick_compilation

# Compilation dominates, so examples have no deadline; the seed is fixed so that CI repeats itself.
hypothesis.settings.register_profile(
  "default", max_examples=25, deadline=None, derandomize=True, print_blob=True
)
hypothesis.settings.load_profile("default")

# Files that take minutes start first, so that no worker is left alone with one of them.
LONGEST = ("test_devices.py", "test_hosts.py", "test_networks.py", "test_export.py", "test_interruptions.py")


def pytest_addoption(parser):
  text = "run the sweeps, too, and compile every test as users do: with all of XLA's optimizations"
  parser.addoption("--all", action="store_true", help=text)


def _quick(item) -> bool:
  return not item.config.getoption("--all") and item.get_closest_marker("optimized") is None


def pytest_collection_modifyitems(config, items):
  """Leaves out the sweeps; optimized tests come first, then all others; the longest of each first."""
  if not config.getoption("--all"):
    sweeps = [item for item in items if item.get_closest_marker("sweep")]
    config.hook.pytest_deselected(items=sweeps)
    items[:] = [item for item in items if item not in sweeps]
  items.sort(key=lambda item: (_quick(item), item.path.name not in LONGEST))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
  quick_compilation.enable(_quick(item))


def pytest_collection_finish():
  """Tracing makes many objects that live on: collecting garbage less often saves a tenth of the time."""
  gc.collect()
  gc.freeze()
  gc.set_threshold(100_000, 20, 50)
