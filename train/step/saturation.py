"""Warns of pools whose alphas lie at an end of their range, where a clip passes no gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import flax
import numpy as np

_LIMIT = 0.1  # fraction of a pool's alphas
_LINES = 10


def describe_saturation(lines: Sequence[Mapping], params, source: str = "") -> list[str]:
  """Returns a sentence for each pool with more than 10 % of its alphas at an end of the range.

  The fractions are means over the last 10 lines that have them.

  Args:
    lines: of a run's metrics.jsonl, see `train.loop.metric_writer.read_metrics`.
    params: of the model. A pool whose alpha has no parameters, such as a constant, is left out: no gradient
      is needed there.
    source: the name of the run's alpha source; the sentence recommends another one.
  """
  trained = {
    path[path.index("alpha") - 1] for path in flax.traverse_util.flatten_dict(params) if "alpha" in path
  }
  units = [
    key.split("/")[1] for key in _last(lines, "alpha/") if key.startswith("alpha/") and key.endswith("/low")
  ]
  sentences = []
  for unit in units:
    low, high = (
      float(np.mean([line[key] for line in lines if key in line][-_LINES:]))
      for key in (f"alpha/{unit}/low", f"alpha/{unit}/high")
    )
    if unit in trained and low + high > _LIMIT:
      sentences.append(
        f"{_percent(low + high)} of {unit}'s alphas are at an end of the range ({_percent(low)} at the "
        f"least alpha, {_percent(high)} at the cap), where no gradient passes"
        + ("" if source == "log_side_branch" else "; alpha=log_side_branch does not saturate")
      )
  return sentences


def _last(lines: Sequence[Mapping], prefix: str) -> Mapping:
  """The last line that has a key of this prefix."""
  found = (line for line in reversed(lines) if any(key.startswith(prefix) for key in line))
  return next(found, {})


def _percent(share: float) -> str:
  return f"{100 * share:.0f} %"
