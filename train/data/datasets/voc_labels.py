"""Reading of VOC's label files: palette PNGs, and SBD's .mat files (Hariharan et al., 2011)."""

from __future__ import annotations

import io

import numpy as np
import scipy.io

from train.data.datasets.voc_classes import VOC
from train.data.preparation.image_files import File, open_label


def read_voc_label(file: File) -> np.ndarray:
  """Reads a PNG of VOC or SegmentationClassAug, or a .mat of SBD, to raw ids, uint8 `[H, W]`.

  Raises:
    FileNotFoundError: the file does not exist.
    ValueError: it is unreadable, not a label map, or has the palette of another data set.
  """
  if str(file).endswith(".mat"):
    return _read_mat(file)
  image = open_label(file, ("L", "P"))
  raw = np.asarray(image)
  palette = image.getpalette() or [] if image.mode == "P" else []
  for value in np.unique(raw).tolist() if palette else ():
    color = tuple(palette[3 * value : 3 * value + 3])
    if value in VOC.colors and color != VOC.colors[value]:
      raise ValueError(
        f"{file}: value {value} has the color {color}, expected VOC's {VOC.colors[value]}; is it a label "
        "of another data set?"
      )
  return raw


def _read_mat(file: File) -> np.ndarray:
  if not file.is_file():
    raise FileNotFoundError(f"{file}: no such file")
  try:
    content = scipy.io.loadmat(io.BytesIO(file.read_bytes()), struct_as_record=False, squeeze_me=True)
    raw = np.atleast_2d(content["GTcls"].Segmentation)
  except Exception as error:  # scipy raises many types for a corrupt file
    raise ValueError(
      f"{file}: not an SBD label with GTcls.Segmentation ({error}); copy or download it again"
    ) from error
  if raw.ndim != 2 or raw.dtype != np.uint8:
    raise ValueError(f"{file}: expected uint8 [H, W] as in SBD's cls/, got {raw.dtype} {list(raw.shape)}")
  return raw
