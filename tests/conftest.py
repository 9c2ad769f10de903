"""One process set-up for all tests: eight simulated devices, and compiled programs kept on disk."""

import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

# Also for the programs that tests start. JAX would read what another worker has only half written.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(
  pathlib.Path(__file__).parents[1] / ".jax_cache" / os.environ.get("PYTEST_XDIST_WORKER", "main")
)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"

import hypothesis

# Compilation dominates, so examples have no deadline; the seed is fixed so that CI repeats itself.
hypothesis.settings.register_profile(
  "default", max_examples=25, deadline=None, derandomize=True, print_blob=True
)
hypothesis.settings.load_profile("default")
