"""Tiny data sets in the publishers' layouts."""

import io
import pathlib
import tarfile
import zipfile

import numpy as np
import pytest
import scipy.io
from PIL import Image

from train.data.datasets.voc_classes import VOC
from train.data.preparation.builder import load_builder_class
from train.data.registry import get_dataset
from train.prepare import prepare

ROOT = pathlib.Path(__file__).parents[2]
SIZE = (12, 16)


def pixels(seed, size=SIZE):
  return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def raw_label(seed, values, size=SIZE):
  """A label map in which every one of `values` occurs, in random order."""
  return np.random.default_rng(seed).permutation(np.resize(values, size[0] * size[1])).reshape(size)


def save(path, array, palette=None):
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.fromarray(array)
  if palette is not None:
    image.putpalette(palette.ravel().tolist())
  image.save(path)
  return path


def save_maps(folder, maps, palette=None):
  """Writes label maps by name as FOLDER/NAME.png."""
  for name, values in maps.items():
    save(pathlib.Path(folder, f"{name}.png"), np.array(values, np.uint8), palette)
  return folder


def write_lines(path, lines):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text("".join(f"{line}\n" for line in lines))


VOC_VALUES = np.array([*range(21), 255], np.uint8)
VOC_COUNTS = {"train": 3, "val": 2, "aug": 2, "test": 1}


def write_voc(root, splits):
  """Writes VOC2012's folder: palette labels for every split but test; the seed of an example is its id."""
  for split, numbers in splits.items():
    for number in numbers:
      save(root / "JPEGImages" / f"{number}.jpg", pixels(number))
      if split != "test":
        label = raw_label(number, VOC_VALUES)
        save(root / "SegmentationClass" / f"{number}.png", label, voc_palette())
    write_lines(root / "ImageSets" / "Segmentation" / f"{split}.txt", numbers)
  return root


def voc_palette():
  return np.array([VOC.colors.get(i, (i, 0, 0)) for i in range(256)], np.uint8)


def sbd_label(number):
  return raw_label(1000 + number, np.arange(21, dtype=np.uint8))


def write_sbd(root, images, splits):
  """Writes SBD's folder, and its images to VOC's folder `images`."""
  for split, numbers in splits.items():
    for number in numbers:
      if not (images / "JPEGImages" / f"{number}.jpg").exists():
        save(images / "JPEGImages" / f"{number}.jpg", pixels(number))
      path = root / "cls" / f"{number}.mat"
      path.parent.mkdir(parents=True, exist_ok=True)
      content = {"Segmentation": sbd_label(number), "CategoriesPresent": [1], "Boundaries": 0}
      scipy.io.savemat(path, {"GTcls": content}, do_compression=True)
    write_lines(root / f"{split}.txt", numbers)
  return root


def write_cityscapes(root, splits):
  """Writes leftImg8bit and gtFine; the seed of an example is its frame. The labels of test are void."""
  for split, numbers in splits.items():
    for number in numbers:
      name = f"ulm_{number:06d}_000019"
      save(root / "leftImg8bit" / split / "ulm" / f"{name}_leftImg8bit.png", pixels(number))
      values = np.array([1, 3] if split == "test" else range(34), np.uint8)
      save(root / "gtFine" / split / "ulm" / f"{name}_gtFine_labelIds.png", raw_label(number, values))
  return root


def write_ade20k(root, counts):
  """Writes the folders images and annotations; the seed of an example is its number in the split."""
  for split, number in counts.items():
    folder = {"train": "training", "val": "validation"}[split]
    for i in range(number):
      name = f"ADE_{split}_{i:08d}"
      save(root / "images" / folder / f"{name}.jpg", pixels(i))
      save(root / "annotations" / folder / f"{name}.png", raw_label(i, np.arange(151, dtype=np.uint8)))
  return root


def write_zip(archive, folder, prefix):
  with zipfile.ZipFile(archive, "w") as file:
    for path in sorted(folder.rglob("*.*")):
      file.write(path, f"{prefix}/{path.relative_to(folder)}")
  return archive


def write_tar(archive, folder, prefix, mode="w"):
  with tarfile.open(archive, mode) as file:
    file.add(folder, prefix)
  return archive


def write_tar_with_member(archive, name):
  """Writes a tar whose only member has that name."""
  with tarfile.open(archive, "w") as file:
    file.addfile(tarfile.TarInfo(name), io.BytesIO())


def examples(name, split, folder):
  """The examples of a prepared split by id."""
  source = get_dataset(name).open(split, dir=str(folder))
  return {example["id"]: example for example in (source[i] for i in range(len(source)))}


def files_below(folder):
  return sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())


def set_counts(monkeypatch, name, counts, size=None):
  """Replaces the published counts and image size of a data set."""
  monkeypatch.setattr(load_builder_class(name), "COUNTS", counts)
  monkeypatch.setattr(load_builder_class(name), "IMAGE_SIZE", size)


def assert_rejected(name, source, folder, match, error=ValueError, **options):
  """Asserts that preparation raises this error and leaves no files."""
  with pytest.raises(error, match=match):
    prepare(name, str(source), str(folder), **options)
  assert not pathlib.Path(folder).exists() or not any(pathlib.Path(folder).rglob("*"))
