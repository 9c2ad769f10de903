"""Extracts the alpha of one image that the figures show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from train.analysis.observe import Observer, compute_initial_alpha
from train.analysis.scale import AlphaScale, make_scale
from train.analysis.units import Unit, require_ppool
from train.experiment.experiment import Experiment


class AlphaPicture(NamedTuple):
  """The alpha of one image.

  Attributes:
    image: RGB uint8 `[H, W, 3]`.
    units: the units from `train.analysis.units.find_units`.
    maps: alpha by unit, float `[h, w, C]`, for the windows whose center lies in the image.
    initial: alpha at step 0 by unit, float `[C]`.
  """

  image: np.ndarray
  units: Mapping[str, Unit]
  maps: Mapping[str, np.ndarray]
  initial: Mapping[str, np.ndarray]

  @property
  def scale(self) -> AlphaScale:
    """The scale that all units share."""
    largest = max(float(values.max()) for part in (self.maps, self.initial) for values in part.values())
    return make_scale(self.units.values(), largest)


class AlphaExtractor:
  """A function `uint8 image [H, W, 3] -> AlphaPicture` for one network, compiled once for every image size.

  The initial alpha is computed once, from the first image.

  Raises:
    ValueError: the network has no P-pooling.
  """

  def __init__(self, experiment: Experiment, variables, seed: int):
    self._experiment, self._variables, self._seed = experiment, variables, seed
    self._observer, self._initial = Observer(experiment), None
    require_ppool(self._observer.units, "--alpha")

  def __call__(self, image: np.ndarray) -> AlphaPicture:
    if self._initial is None:
      self._initial = compute_initial_alpha(self._experiment, self._variables, image, self._seed)
    observed = self._observer(self._variables, image)
    maps = {unit: observation.alpha for unit, observation in observed.items()}
    return AlphaPicture(image, self._observer.units, maps, self._initial)
