"""What is drawn of the alpha of one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from train.analysis.observe import Observer, initial_alpha
from train.analysis.scale import AlphaScale, make_scale
from train.analysis.units import Unit, check_pooling
from train.experiment.experiment import Experiment


class AlphaPicture(NamedTuple):
  """What is drawn of one image.

  Attributes:
    image: RGB uint8 `[H, W, 3]`.
    units: see `train.analysis.units.find_units`.
    maps: float `[h, w, C]` by unit, the windows in the image.
    initial: alpha at step 0, `[C]` by unit.
  """

  image: np.ndarray
  units: Mapping[str, Unit]
  maps: Mapping[str, np.ndarray]
  initial: Mapping[str, np.ndarray]

  @property
  def scale(self) -> AlphaScale:
    """One scale for all units."""
    largest = max(float(values.max()) for part in (self.maps, self.initial) for values in part.values())
    return make_scale(self.units.values(), largest)


class AlphaPictures:
  """A function `(image) -> AlphaPicture` for one network; it compiles a program for every size of images.

  The initial alpha is computed once, at the first image.

  Raises:
    ValueError: the network has no P-pooling.
  """

  def __init__(self, experiment: Experiment, variables, seed: int):
    self._experiment, self._variables, self._seed = experiment, variables, seed
    self._observer, self._initial = Observer(experiment), None
    check_pooling(self._observer.units, "--alpha")

  def __call__(self, image: np.ndarray) -> AlphaPicture:
    if self._initial is None:
      self._initial = initial_alpha(self._experiment, self._variables, image, self._seed)
    observed = self._observer(self._variables, image)
    maps = {unit: found.alpha for unit, found in observed.items()}
    return AlphaPicture(image, self._observer.units, maps, self._initial)
