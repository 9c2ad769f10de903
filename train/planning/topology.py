"""The devices of a TPU slice that is not there, for compiling: libtpu describes them on any machine."""

from __future__ import annotations

import importlib.util
import os

from jax.experimental import topologies

from train.planning.chips import chip_of

# Without a TPU libtpu would ask the cloud's metadata for them, and print that there is no answer. They say
# nothing of the slices that are asked for.
_ENVIRONMENT = {
  "TPU_SKIP_MDS_QUERY": "1",
  "TPU_ACCELERATOR_TYPE": "v5litepod-8",
  "TPU_WORKER_HOSTNAMES": "localhost",
  "TPU_LOG_DIR": "disabled",
  "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # no chip is touched, so several plans may run at once
}


def devices_of(topology: str) -> list:
  """The devices, one a chip, of a slice such as "v5e:4x8": programs compile for them, nothing runs.

  Raises:
    ImportError: libtpu is not installed; the command is named.
    ValueError: no such slice.
  """
  chip_of(topology)
  if importlib.util.find_spec("libtpu") is None:
    raise ImportError("planning compiles with libtpu, which is not installed: make env EXTRAS=plan")
  for name, value in _ENVIRONMENT.items():
    os.environ.setdefault(name, value)
  return list(topologies.get_topology_desc(platform="tpu", topology_name=topology).devices)
