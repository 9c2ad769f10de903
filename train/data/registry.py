"""The registry of data sets: by name, the class table and random access to a split."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from ppool_jax.utils.files import local_path
from ppool_jax.utils.lookup import lookup
from train.data.classes import ClassTable
from train.data.datasets.ade20k_classes import ADE20K
from train.data.datasets.camvid_classes import CAMVID
from train.data.datasets.cityscapes_classes import CITYSCAPES
from train.data.datasets.scenes import SCENES, Scenes
from train.data.datasets.voc_classes import VOC
from train.data.prepared import ConcatSource, TfdsSource

PREPARED_DATASETS = ("camvid", "voc", "cityscapes", "ade20k", "folder")
"""Data sets that `python -m train.prepare` must prepare before they can be opened."""


class Dataset(NamedTuple):
  """An entry of the registry.

  Attributes:
    open: `(split, **options) -> source`.
    class_table: `(**options) -> ClassTable`; the table of a user's folder depends on its location.
  """

  open: Callable
  class_table: Callable[..., ClassTable]

  @property
  def table(self) -> ClassTable:
    """The class table for the default options."""
    return self.class_table()


def open_scenes(split: str, train: int = 2000, val: int = 100, seed: int = 0, size=(96, 128)) -> Scenes:
  """Opens generated scenes; the two splits are generated from different seeds.

  Args:
    split: "train" or "val".
    train, val: number of examples in each split.
    seed: of the scenes.
    size: (height, width).

  Raises:
    ValueError: the split does not exist.
  """
  counts = {"train": train, "val": val}
  if split not in counts:
    raise ValueError(f"scenes: expected the split train or val, got {split!r}")
  return Scenes(counts[split], 2 * seed + (split == "val"), tuple(size))


def open_prepared(name: str, split: str, dir: str = "data") -> TfdsSource | ConcatSource:
  """Opens a split of a data set that `python -m train.prepare` prepared under `dir`.

  Raises:
    FileNotFoundError: the data set is not prepared; the message gives the command.
    ValueError: the split was not prepared.
  """
  import tensorflow_datasets as tfds

  builder = _open_builder(name, dir)
  skip_decoding = dict.fromkeys(("image", "label"), tfds.decode.SkipDecoding())
  combined = builder.info.metadata.get("composed", {})
  splits = [*builder.info.splits, *combined]
  if split not in splits:
    raise ValueError(f"{name}: expected a split among {', '.join(splits)}, got {split!r}")
  table = class_table(name, dir)
  sources = [
    TfdsSource(
      builder.as_data_source(part, decoders=skip_decoding),
      table,
      str(builder.data_dir),
      f"{name}: the split {part!r}" if part in builder.info.metadata.get("unlabelled", ()) else "",
    )
    for part in combined.get(split, [split])
  ]
  return ConcatSource(sources) if len(sources) > 1 else sources[0]


def class_table(name: str, dir: str = "data") -> ClassTable:
  """The class table of a data set; that of a user's folder is read from the prepared data under `dir`.

  Raises:
    FileNotFoundError: a user's folder is not prepared there.
  """
  tables = {"ade20k": ADE20K, "camvid": CAMVID, "cityscapes": CITYSCAPES, "voc": VOC}
  return tables.get(name) or ClassTable.from_json(_open_builder(name, dir).info.metadata["classes"])


def _open_builder(name: str, dir: str) -> Any:
  from train.data.preparation.builder import load_builder_class  # TFDS takes seconds to import

  builder = load_builder_class(name)(data_dir=local_path(dir))
  if not builder.info.splits:
    raise FileNotFoundError(
      f"{builder.data_dir}: {name} is not prepared there; run "
      f"`python -m train.prepare {name} --source DIR --dir {dir}`"
    )
  return builder


DATASETS = {
  "scenes": Dataset(open_scenes, lambda **options: SCENES),
  **{
    name: Dataset(functools.partial(open_prepared, name), functools.partial(class_table, name))
    for name in PREPARED_DATASETS
  },
}


def get_dataset(name: str) -> Dataset:
  """The data set of that name.

  Raises:
    ValueError: it does not exist; the message suggests the most similar name.
  """
  return lookup(name, DATASETS, "data.name")
