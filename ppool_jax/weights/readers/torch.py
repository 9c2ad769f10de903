"""Reads PyTorch state dicts, which are pickles, with `weights_only`: nothing but tensors and containers."""

from __future__ import annotations

import pathlib
import pickle

import numpy as np
import torch


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Every tensor by its key in the state dict; floating tensors as float32.

  Raises:
    ValueError: the file is not a pickle, has more than tensors, or is not a flat dict of them.
    Exception: errors of `torch.load` about other broken bytes.
  """
  try:
    state = torch.load(path, map_location="cpu", weights_only=True)
  except pickle.UnpicklingError:
    # PyTorch's own message recommends running the file's code.
    raise ValueError("it is not a pickle, or has more than tensors") from None
  named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
  if not named or not all(isinstance(value, torch.Tensor) for value in state.values()):
    found = f"a dict of {list(state)}" if isinstance(state, dict) else type(state).__name__
    raise ValueError(f"expected keys and tensors only, got {found:.200}")
  # NumPy has no bfloat16, so floating tensors become float32; integers are unchanged.
  state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
  return {name: value.detach().numpy() for name, value in state.items()}
