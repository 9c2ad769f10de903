"""Data sets by name: the table of classes, and random access to a split."""

from __future__ import annotations

import difflib
import functools
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from train.data.classes import ClassTable
from train.data.datasets.ade20k_classes import ADE20K
from train.data.datasets.camvid_classes import CAMVID
from train.data.datasets.cityscapes_classes import CITYSCAPES
from train.data.datasets.scenes import SCENES, Scenes
from train.data.datasets.voc_classes import VOC
from train.data.prepared import Joined, TfdsSource


class Dataset(NamedTuple):
  """What a data set's name stands for.

  Attributes:
    open: `(split, **options) -> source`.
    table_of: `(**options) -> ClassTable`; of a user's folder, the table depends on where it is.
  """

  open: Callable
  table_of: Callable[..., ClassTable]

  @property
  def table(self) -> ClassTable:
    """The table where no option says otherwise."""
    return self.table_of()


def open_scenes(split: str, train: int = 2000, val: int = 100, seed: int = 0, size=(96, 128)) -> Scenes:
  """Generated scenes; the splits are different seeds.

  Args:
    split: "train" or "val".
    train, val: examples in each.
    seed: of the scenes.
    size: (height, width).
  """
  counts = {"train": train, "val": val}
  if split not in counts:
    raise ValueError(f"scenes: expected the split train or val, got {split!r}")
  return Scenes(counts[split], 2 * seed + (split == "val"), tuple(size))


def open_prepared(name: str, split: str, dir: str = "data") -> TfdsSource | Joined:
  """The data set `name` as `python -m train.prepare` left it under `dir`.

  Raises:
    FileNotFoundError: not prepared; the command is named.
    ValueError: a split that was not prepared.
  """
  import tensorflow_datasets as tfds

  builder = _prepared(name, dir)
  files = dict.fromkeys(("image", "label"), tfds.decode.SkipDecoding())
  composed = builder.info.metadata.get("composed", {})
  known = [*builder.info.splits, *composed]
  if split not in known:
    raise ValueError(f"{name}: expected a split among {', '.join(known)}, got {split!r}")
  table = table_of(name, dir)
  parts = [
    TfdsSource(
      builder.as_data_source(part, decoders=files),
      table,
      str(builder.data_dir),
      f"{name}: the split {part!r}" if part in builder.info.metadata.get("unlabelled", ()) else "",
    )
    for part in composed.get(split, [split])
  ]
  return Joined(parts) if len(parts) > 1 else parts[0]


def table_of(name: str, dir: str = "data") -> ClassTable:
  """The classes of a data set that is prepared; those of a user's folder were kept under `dir`.

  Raises:
    FileNotFoundError: a user's folder that is not prepared there.
  """
  tables = {"ade20k": ADE20K, "camvid": CAMVID, "cityscapes": CITYSCAPES, "voc": VOC}
  return tables.get(name) or ClassTable.from_json(_prepared(name, dir).info.metadata["classes"])


def _prepared(name: str, dir: str):
  from train.data.preparation.builder import builder_class  # TFDS takes seconds to import

  builder = builder_class(name)(data_dir=pathlib.Path(dir).expanduser())
  if not builder.info.splits:
    raise FileNotFoundError(
      f"{builder.data_dir}: {name} is not prepared there; run "
      f"`python -m train.prepare {name} --source DIR --dir {dir}`"
    )
  return builder


PREPARED = ("camvid", "voc", "cityscapes", "ade20k", "folder")

DATASETS = {
  "scenes": Dataset(open_scenes, lambda **options: SCENES),
  **{
    name: Dataset(functools.partial(open_prepared, name), functools.partial(table_of, name))
    for name in PREPARED
  },
}


def dataset(name: str) -> Dataset:
  """The data set of that name.

  Raises:
    ValueError: no such data set, with the nearest name.
  """
  if name not in DATASETS:
    near = difflib.get_close_matches(name, DATASETS, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"data.name: expected one of {', '.join(DATASETS)}, got {name!r}{hint}")
  return DATASETS[name]
