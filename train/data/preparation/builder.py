"""The TFDS builder that all data sets of images with label maps share."""

from __future__ import annotations

import importlib
import pathlib
from typing import ClassVar

import tensorflow_datasets as tfds

from train.data.preparation.encode_cache import Drafts
from train.data.preparation.samples import Found, Pair, encode, fingerprint
from train.utils.progress import track


class WrongFile(ValueError):
  """A file that cannot be prepared; there may be more."""


class PairBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Examples {"id", "image" [H, W, 3], "label" [H, W, 1] with raw ids}, stored as ArrayRecord.

  A data set is a subclass in a module of its own, as TFDS names it by its class.

  Attributes:
    COUNTS: examples of each split as published; empty where there is no such number.
    OPTIONAL: the splits of COUNTS that may be absent.
    SIZE: (height, width) of every image, where they are all the same.
    drafts: what an interrupted preparation left.

  Args:
    found: what to prepare; None to read what is prepared.
  """

  VERSION = tfds.core.Version("1.0.0")
  MANUAL_DOWNLOAD_INSTRUCTIONS = "python -m train.prepare NAME --source DIR"
  COUNTS: ClassVar[dict[str, int]] = {}
  OPTIONAL: ClassVar[tuple[str, ...]] = ()
  SIZE: ClassVar[tuple[int, int] | None] = None

  def __init__(self, *, found: Found | None = None, **kwargs):
    self._found = found
    super().__init__(file_format="array_record", **kwargs)
    self.drafts = Drafts(pathlib.Path(self.data_dir).parent / "unfinished")

  @staticmethod
  def find(source: pathlib.Path) -> Found:
    """What lies in the folder `source`.

    Raises:
      FileNotFoundError: no such folder, or none of the layouts in it.
      ValueError: an archive that is damaged, or another than its name says.
    """
    raise NotImplementedError

  @classmethod
  def published(cls, found: Found) -> dict[str, int]:
    """The number of examples of each split that `found` must have."""
    return {split: n for split, n in cls.COUNTS.items() if split in found.splits or split not in cls.OPTIONAL}

  @staticmethod
  def metadata(found: Found) -> dict:
    """What is kept with the examples: how they are read, and what tells them from other ones."""
    return {
      "source": fingerprint(found.splits),
      "composed": dict(found.composed),
      "unlabelled": found.unlabelled,
    }

  def _info(self) -> tfds.core.DatasetInfo:
    features = {
      "id": tfds.features.Text(),
      "image": tfds.features.Image(shape=(None, None, 3)),
      "label": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
    }
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features),
      metadata=tfds.core.MetadataDict(self.metadata(self._found)) if self._found else None,
    )

  def _log_download_bytes(self) -> None:
    """TFDS would announce a download of unknown size."""

  def _split_generators(self, dl_manager):
    del dl_manager
    return {split: self._generate_examples(pairs, split) for split, pairs in self._found.splits.items()}

  def _generate_examples(self, pairs: list[Pair], split: str):
    for pair in track(pairs, f"{self.name} {split}"):
      try:
        image, label = self.drafts.encoded(encode, pair, self._found.table, self.SIZE)
      except (ValueError, OSError) as error:
        raise WrongFile(str(error)) from error
      yield pair.id, {"id": pair.id, "image": image, "label": label}


def builder_class(name: str) -> type[PairBuilder]:
  """The class of the data set `name`: "ade20k" is Ade20k in train/data/datasets/ade20k.py."""
  return getattr(importlib.import_module(f"train.data.datasets.{name}"), name.capitalize())
