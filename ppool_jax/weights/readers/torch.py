"""PyTorch state dicts. They are pickles: `weights_only` refuses everything but tensors and containers."""

from __future__ import annotations

import pathlib
import pickle

import numpy as np
import torch


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Every tensor by its name in the state dict; floating ones as float32.

  Raises:
    ValueError: it is no pickle, holds more than tensors, or is no flat dict of them.
    Exception: `torch.load`'s own errors about other broken bytes.
  """
  try:
    state = torch.load(path, map_location="cpu", weights_only=True)
  except pickle.UnpicklingError:
    # PyTorch's own message, which this hides, recommends to run the file's code.
    raise ValueError("it is no pickle, or holds more than tensors") from None
  named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
  if not named or not all(isinstance(value, torch.Tensor) for value in state.values()):
    held = f"a dict of {list(state)}" if isinstance(state, dict) else type(state).__name__
    raise ValueError(f"expected names and tensors only, got {held:.200}")
  # NumPy has no bfloat16, so every floating tensor becomes float32; integers stay what they are.
  state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
  return {name: value.detach().numpy() for name, value in state.items()}
