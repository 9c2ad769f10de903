"""The TFDS builder that all segmentation data sets share."""

from __future__ import annotations

import importlib
import pathlib
from typing import ClassVar

import tensorflow_datasets as tfds

from train.data.preparation.encode_cache import EncodeCache
from train.data.preparation.samples import Sample, SourceIndex, encode, fingerprint
from train.utils.progress import track


class InvalidFileError(ValueError):
  """A file cannot be prepared; there may be more."""


class SegmentationBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Builds examples {"id", "image" [H, W, 3], "label" [H, W, 1] with raw ids}, stored as ArrayRecord.

  Every data set is a subclass in its own module, because TFDS derives its name from the class.

  Attributes:
    COUNTS: published number of examples in each split; empty where there is none.
    OPTIONAL_SPLITS: the splits of COUNTS that may be absent.
    IMAGE_SIZE: (height, width) of every image, where all have the same.
    encode_cache: the results of an interrupted preparation.

  Args:
    index: what to prepare; None to read prepared data.
  """

  VERSION = tfds.core.Version("1.0.0")
  MANUAL_DOWNLOAD_INSTRUCTIONS = "python -m train.prepare NAME --source DIR"
  COUNTS: ClassVar[dict[str, int]] = {}
  OPTIONAL_SPLITS: ClassVar[tuple[str, ...]] = ()
  IMAGE_SIZE: ClassVar[tuple[int, int] | None] = None

  def __init__(self, *, index: SourceIndex | None = None, **kwargs):
    self._index = index
    super().__init__(file_format="array_record", **kwargs)
    self.encode_cache = EncodeCache(pathlib.Path(self.data_dir).parent / "unfinished")

  @staticmethod
  def scan(source: pathlib.Path) -> SourceIndex:
    """Lists the samples in the folder `source`, without reading them.

    Raises:
      FileNotFoundError: the folder does not exist or has none of the layouts.
      ValueError: an archive is corrupt, or not the one that its name says.
    """
    raise NotImplementedError

  @classmethod
  def expected_counts(cls, index: SourceIndex) -> dict[str, int]:
    """The published number of examples of each split that must be complete in `index`."""
    return {
      split: count
      for split, count in cls.COUNTS.items()
      if split in index.splits or split not in cls.OPTIONAL_SPLITS
    }

  @staticmethod
  def metadata(index: SourceIndex) -> dict:
    """What is stored with the examples: how to read them, and the fingerprint of their source."""
    # Prepared data is read by these keys, so they cannot be renamed.
    return {
      "source": fingerprint(index.splits),
      "composed": dict(index.combined),
      "unlabelled": index.unlabeled,
    }

  def _info(self) -> tfds.core.DatasetInfo:
    features = {
      "id": tfds.features.Text(),
      "image": tfds.features.Image(shape=(None, None, 3)),
      "label": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
    }
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features),
      metadata=tfds.core.MetadataDict(self.metadata(self._index)) if self._index else None,
    )

  def _log_download_bytes(self) -> None:
    """Suppresses TFDS's announcement of a download of unknown size."""

  def _split_generators(self, dl_manager):
    del dl_manager
    index = self._require_index()
    return {split: self._generate_examples(samples, split) for split, samples in index.splits.items()}

  def _require_index(self) -> SourceIndex:
    assert self._index is not None, "a builder that only reads prepared data has no index"
    return self._index

  def _generate_examples(self, samples: list[Sample], split: str):
    table = self._require_index().table
    for sample in track(samples, f"{self.name} {split}"):
      try:
        image, label = self.encode_cache.get_or_encode(encode, sample, table, self.IMAGE_SIZE)
      except (ValueError, OSError) as error:
        raise InvalidFileError(str(error)) from error
      yield sample.id, {"id": sample.id, "image": image, "label": label}


def load_builder_class(name: str) -> type[SegmentationBuilder]:
  """The builder of the data set `name`: for "ade20k", `Ade20k` in train/data/datasets/ade20k.py."""
  return getattr(importlib.import_module(f"train.data.datasets.{name}"), name.capitalize())
