"""One process set-up for all tests: eight simulated devices, and compiled programs kept on disk."""

import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

import hypothesis
import jax

_CACHE = pathlib.Path(__file__).parents[1] / ".jax_cache"
jax.config.update("jax_compilation_cache_dir", str(_CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

# Compilation dominates, so examples have no deadline; the seed is fixed so that CI repeats itself.
hypothesis.settings.register_profile(
  "default", max_examples=25, deadline=None, derandomize=True, print_blob=True
)
hypothesis.settings.load_profile("default")
