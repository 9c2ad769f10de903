"""Describes the devices of an absent TPU slice, by libtpu, so that programs can be compiled for it."""

from __future__ import annotations

import importlib.util
import os

from jax.experimental import topologies

from train.planning.chips import lookup_chip

# Without these, libtpu queries the cloud's metadata server and prints that there is no answer. They do not
# affect the slices that are planned.
_ENVIRONMENT = {
  "TPU_SKIP_MDS_QUERY": "1",
  "TPU_ACCELERATOR_TYPE": "v5litepod-8",
  "TPU_WORKER_HOSTNAMES": "localhost",
  "TPU_LOG_DIR": "disabled",
  "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # no chip is used, so several plans may run at once
}


def topology_devices(topology: str) -> list:
  """The devices of a slice such as "v5e:4x8", one per chip, to compile for; nothing runs on them.

  Raises:
    ImportError: libtpu is not installed; the message names the command that installs it.
    ValueError: no such slice.
  """
  lookup_chip(topology)
  if importlib.util.find_spec("libtpu") is None:
    raise ImportError("planning compiles with libtpu, which is not installed: make env EXTRAS=plan")
  for name, value in _ENVIRONMENT.items():
    os.environ.setdefault(name, value)
  return list(topologies.get_topology_desc(platform="tpu", topology_name=topology).devices)
