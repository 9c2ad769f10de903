"""PyTorch's poolings for the benchmark, if torch is installed: NCHW in channels-last memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def programs(x: np.ndarray, alpha: np.ndarray, dy: np.ndarray) -> dict[str, dict[str, Callable]]:
  """name -> {"forward", "both"}: programs over x `[N, H, W, C]`; empty without torch."""
  try:
    import torch
  except ImportError:
    return {}
  device = "cuda" if torch.cuda.is_available() else "cpu"

  def tensor(array):
    return torch.from_numpy(np.array(array)).permute(0, 3, 1, 2).to(device)

  tensors = (tensor(x).requires_grad_(), tensor(alpha).requires_grad_(), tensor(dy))
  functions = {
    "torch max_pool2d": _max,
    "torch softpool by avg_pool2d": _softpool,
    "torch ppool by unfold": _ppool,
  }
  return {name: _programs(torch, function, *tensors) for name, function in functions.items()}


def _programs(torch, function, x, alpha, dy):
  def synchronize():
    if x.is_cuda:
      torch.cuda.synchronize()

  def forward():
    with torch.no_grad():
      function(x, alpha)
    synchronize()

  def both():
    x.grad = alpha.grad = None
    function(x, alpha).backward(dy)
    synchronize()

  return {"forward": forward, "both": both}


def _max(x, alpha):
  import torch.nn.functional as F

  return F.max_pool2d(x, 2)


def _softpool(x, alpha):
  import torch.nn.functional as F

  weights = x.exp()
  return F.avg_pool2d(weights * x, 2) / F.avg_pool2d(weights, 2)


def _ppool(x, alpha):
  n, c, h, w = x.shape
  import torch.nn.functional as F

  patches = F.unfold(x, 2, stride=2).reshape(n, c, 4, h // 2, w // 2)
  weights = (alpha[:, :, None] * patches.clamp_min(1e-6).log()).softmax(2)
  return (weights * patches).sum(2)
