"""CamVid: its classes, both layouts, preparation, and what is said of files that are wrong."""

import os
import pathlib
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from train.data.camvid import encode, find_pairs, indices, segnet_split
from train.data.camvid_classes import CAMVID, OFFICIAL_COLOURS
from train.data.classes import IGNORE, ClassTable, LabelClass
from train.data.datasets import dataset, open_camvid
from train.prepare import prepare_camvid

ROOT = pathlib.Path(__file__).parents[1]
ASSETS = os.environ.get("PPOOL_ASSETS")
REAL = pathlib.Path(ASSETS or "", "camvid")
needs_camvid = pytest.mark.skipif(
  not ASSETS or not REAL.is_dir(), reason="PPOOL_ASSETS names no folder with camvid/"
)
SIZE = (12, 16)

# The publisher's label_colors.txt, and the 11 classes that SegNet counts them as.
PUBLISHED = {
  "Sky": {"Sky": (128, 128, 128)},
  "Building": {
    "Archway": (192, 0, 128),
    "Bridge": (0, 128, 64),
    "Building": (128, 0, 0),
    "Tunnel": (64, 0, 64),
    "Wall": (64, 192, 0),
  },
  "Pole": {"Column_Pole": (192, 192, 128), "TrafficCone": (0, 0, 64)},
  "Road": {"LaneMkgsDriv": (128, 0, 192), "LaneMkgsNonDriv": (192, 0, 64), "Road": (128, 64, 128)},
  "Pavement": {"ParkingBlock": (64, 192, 128), "RoadShoulder": (128, 128, 192), "Sidewalk": (0, 0, 192)},
  "Tree": {"Tree": (128, 128, 0), "VegetationMisc": (192, 192, 0)},
  "SignSymbol": {"Misc_Text": (128, 128, 64), "SignSymbol": (192, 128, 128), "TrafficLight": (0, 64, 64)},
  "Fence": {"Fence": (64, 64, 128)},
  "Car": {
    "Car": (64, 0, 128),
    "OtherMoving": (128, 64, 64),
    "SUVPickupTruck": (64, 128, 192),
    "Train": (192, 64, 128),
    "Truck_Bus": (192, 128, 192),
  },
  "Pedestrian": {
    "Animal": (64, 128, 64),
    "CartLuggagePram": (64, 0, 192),
    "Child": (192, 128, 64),
    "Pedestrian": (64, 64, 0),
  },
  "Bicyclist": {"Bicyclist": (0, 128, 192), "MotorcycleScooter": (192, 0, 192)},
  "Void": {"Void": (0, 0, 0)},
}


def pixels(seed, size=SIZE):
  return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def raw_label(seed, size=SIZE):
  label = np.random.default_rng(seed).integers(0, 12, size, np.uint8)
  label.flat[:12] = range(12)
  return label


def in_train_ids(raw):
  return np.where(raw == 11, 255, raw)


def save(path, array):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(array).save(path)


def write_lists(source, counts, prefix=""):
  """SegNet's layout: the example of that number in the split has pixels(number), raw_label(number)."""
  for split, numbers in counts.items():
    lines = []
    for number in numbers:
      save(source / split / f"{number}.png", pixels(number))
      save(source / f"{split}annot" / f"{number}.png", raw_label(number))
      lines.append(f"{prefix}{split}/{number}.png {prefix}{split}annot/{number}.png\n")
    (source / f"{split}.txt").write_text("".join(lines))
  return source


@pytest.fixture
def source(tmp_path):
  return write_lists(tmp_path / "source", {"train": range(3), "val": [7]})


def examples(split, folder):
  opened = open_camvid(split, str(folder))
  return {example["id"]: example for example in (opened[i] for i in range(len(opened)))}


def assert_not_prepared(folder, *, says):
  """Nothing half-made is left, so the right files are prepared afterwards."""
  assert not list(pathlib.Path(folder).rglob("*.json"))
  assert not list(pathlib.Path(folder).rglob("*array_record*"))
  with pytest.raises(FileNotFoundError, match="not prepared"):
    open_camvid("train", str(folder))
  right = write_lists(folder.parent / "right", {"train": [20, 21], "val": [22]})
  prepare_camvid(str(right), str(folder))
  assert set(examples("train", folder)) == {"20", "21"}, says


class TestClasses:
  def test_names_and_thin(self):
    assert CAMVID.num_classes == 11
    assert CAMVID.names == tuple(PUBLISHED)[:11]
    assert [CAMVID.names[k] for k in CAMVID.thin] == [
      "Pole",
      "SignSymbol",
      "Fence",
      "Pedestrian",
      "Bicyclist",
    ]

  def test_palette(self):
    palette = CAMVID.palette()
    assert palette.dtype == np.uint8
    assert palette.shape == (256, 3)
    colours = [(128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
               (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)]  # fmt: skip
    assert [tuple(colour) for colour in palette[:11].tolist()] == colours
    assert not palette[11:].any()

  def test_official_colours(self):
    names = [row.name for row in sorted(CAMVID.rows, key=lambda row: row.raw_id)]
    published = {colour: names.index(name) for name, parts in PUBLISHED.items() for colour in parts.values()}
    assert len(published) == 32
    assert published == OFFICIAL_COLOURS

  def test_indices_of_every_colour(self):
    colours = np.array(list(OFFICIAL_COLOURS), np.uint8).reshape(4, 8, 3)
    expected = np.array(list(OFFICIAL_COLOURS.values()), np.uint8).reshape(4, 8)
    np.testing.assert_array_equal(indices(colours, "x"), expected)

  def test_raw_ids_map_to_train_ids(self):
    mapped = CAMVID.to_train_ids(np.arange(12).reshape(3, 4), "x")
    assert mapped.dtype == np.uint8
    np.testing.assert_array_equal(mapped.ravel(), [*range(11), IGNORE])

  @pytest.mark.parametrize("value", [12, 200, 255])
  def test_unknown_raw_id(self, value):
    with pytest.raises(ValueError, match=rf"some\.png: label {value} is not"):
      CAMVID.to_train_ids(np.array([[0, value]], np.uint8), "some.png")

  def test_duplicate_raw_ids(self):
    rows = [LabelClass("a", 3, 0, (0, 0, 0)), LabelClass("b", 3, 1, (1, 1, 1))]
    with pytest.raises(ValueError, match=r"raw ids: .*\[3, 3\]"):
      ClassTable(rows)

  @pytest.mark.parametrize("ids", [(0, 2), (1, 2), (0, 0)])
  def test_gaps_in_train_ids(self, ids):
    rows = [LabelClass(str(raw), raw, train, (0, 0, 0)) for raw, train in enumerate(ids)]
    with pytest.raises(ValueError, match=re.escape(f"train ids: expected 0..K-1, got {list(ids)}")):
      ClassTable(rows)

  def test_same_table_in_the_registry(self):
    assert dataset("camvid").table is CAMVID
    with pytest.raises(ValueError, match="did you mean 'camvid'"):
      dataset("camvit")


class TestSegnetLayout:
  @pytest.mark.parametrize("prefix", ["", "/SegNet/CamVid/"])
  def test_labels_and_images_are_bit_equal(self, tmp_path, capfd, prefix):
    counts = {"train": range(5), "val": [10, 11], "test": [20]}
    source = write_lists(tmp_path / "source", counts, prefix)
    prepare_camvid(str(source), str(tmp_path / "data"))
    for split, numbers in counts.items():
      found = examples(split, tmp_path / "data")
      assert set(found) == {str(number) for number in numbers}
      for number in numbers:
        example = found[str(number)]
        assert example["image"].dtype == example["label"].dtype == np.uint8
        np.testing.assert_array_equal(example["image"], pixels(number))
        np.testing.assert_array_equal(example["label"], in_train_ids(raw_label(number)))
    out, err = capfd.readouterr()
    assert "train: 5 pairs\nval: 2 pairs\ntest: 1 pairs\n" in out
    assert err == ""  # neither TFDS's bars nor its advice

  def test_random_access(self, source, tmp_path):
    prepare_camvid(str(source), str(tmp_path / "data"))
    opened = open_camvid("train", str(tmp_path / "data"))
    assert len(opened) == 3
    ids = [opened[i]["id"] for i in (2, 0, 1)]
    assert [opened[i]["id"] for i in (0, 1, 2)] == [ids[1], ids[2], ids[0]]
    for i in (3, -1):
      with pytest.raises(IndexError, match=f"expected 0..2, got {i}"):
        opened[i]

  def test_palette_label_comes_back_as_indices(self, source, tmp_path):
    label = Image.fromarray(raw_label(1))
    label.putpalette([255 - k for k in range(36)])
    assert label.mode == "P"
    label.save(source / "trainannot" / "1.png")
    prepare_camvid(str(source), str(tmp_path / "data"))
    np.testing.assert_array_equal(
      examples("train", tmp_path / "data")["1"]["label"], in_train_ids(raw_label(1))
    )

  @pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
  def test_image_of_another_mode_is_read_as_rgb(self, source, tmp_path, mode):
    image = Image.fromarray(pixels(1)).convert(mode)
    image.save(source / "train" / "1.png")
    prepare_camvid(str(source), str(tmp_path / "data"))
    np.testing.assert_array_equal(
      examples("train", tmp_path / "data")["1"]["image"], np.asarray(image.convert("RGB"))
    )

  def test_jpeg_is_kept_as_it_is(self, source, tmp_path):
    Image.fromarray(pixels(1)).save(source / "train" / "1.jpg")
    (source / "train.txt").write_text("train/1.jpg trainannot/1.png\n")
    prepare_camvid(str(source), str(tmp_path / "data"))
    np.testing.assert_array_equal(
      examples("train", tmp_path / "data")["1"]["image"], np.asarray(Image.open(source / "train" / "1.jpg"))
    )
    image, _ = encode(find_pairs(source)["train"][0])
    assert image == str(source / "train" / "1.jpg")


class TestOfficialLayout:
  NAMES = (
    "0001TP_006690",
    "0001TP_008550",
    "0006R0_f00930",
    "0016E5_07961",
    "0016E5_08190",
    "Seq05VD_f00000",
  )

  def write(self, source):
    colours = np.array(list(OFFICIAL_COLOURS), np.uint8)
    for seed, name in enumerate(self.NAMES):
      save(source / "701_StillsRaw_full" / f"{name}.png", pixels(seed))
      choice = np.random.default_rng(seed).permutation(np.arange(SIZE[0] * SIZE[1]) % 32).reshape(SIZE)
      save(source / "LabeledApproved_full" / f"{name}_L.png", colours[choice])
    return source

  def test_prepared(self, tmp_path):
    source = self.write(tmp_path / "source")
    prepare_camvid(str(source), str(tmp_path / "data"))
    found = {split: examples(split, tmp_path / "data") for split in ("train", "val", "test")}
    assert set(found["train"]) == {"0001TP_006690", "0006R0_f00930", "0016E5_08190"}
    assert set(found["val"]) == {"0016E5_07961"}
    assert set(found["test"]) == {"0001TP_008550", "Seq05VD_f00000"}
    for name, example in {**found["train"], **found["val"], **found["test"]}.items():
      colours = np.asarray(Image.open(source / "LabeledApproved_full" / f"{name}_L.png"))
      expected = [
        IGNORE if (k := OFFICIAL_COLOURS[tuple(c)]) == 11 else k for c in colours.reshape(-1, 3).tolist()
      ]
      np.testing.assert_array_equal(example["label"].ravel(), expected)
      np.testing.assert_array_equal(example["image"], pixels(self.NAMES.index(name)))

  def test_unknown_colour(self, tmp_path):
    source = self.write(tmp_path / "source")
    file = source / "LabeledApproved_full" / "0016E5_07961_L.png"
    colours = np.array(Image.open(file))
    colours[3, 4] = (1, 2, 3)
    Image.fromarray(colours).save(file)
    with pytest.raises(ValueError, match=re.escape(f"{file}: colour (1, 2, 3)")):
      prepare_camvid(str(source), str(tmp_path / "data"))
    assert_not_prepared(tmp_path / "data", says="after an unknown colour")

  def test_other_size(self, tmp_path):
    source = self.write(tmp_path / "source")
    save(source / "701_StillsRaw_full" / "0016E5_07961.png", pixels(0, (10, 16)))
    with pytest.raises(
      ValueError, match=r"0016E5_07961_L\.png: label is 16x12, but .*0016E5_07961\.png is 16x10"
    ):
      prepare_camvid(str(source), str(tmp_path / "data"))

  def test_missing_label(self, tmp_path):
    source = self.write(tmp_path / "source")
    (source / "LabeledApproved_full" / "0016E5_07961_L.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 files are missing: .*0016E5_07961_L\.png"):
      prepare_camvid(str(source), str(tmp_path / "data"))

  def test_strange_name(self, tmp_path):
    source = self.write(tmp_path / "source")
    save(source / "701_StillsRaw_full" / "holiday.png", pixels(0))
    with pytest.raises(ValueError, match="holiday: expected a frame of 0001TP"):
      prepare_camvid(str(source), str(tmp_path / "data"))

  @pytest.mark.parametrize(
    ("name", "split"),
    [
      ("0001TP_008520", "train"),
      ("0001TP_008550", "test"),
      ("0016E5_07957", "train"),
      ("0016E5_07959", "val"),
      ("0016E5_08159", "val"),
      ("0016E5_08161", "train"),
      ("0006R0_f03930", "train"),
      ("Seq05VD_f05100", "test"),
    ],
  )
  def test_split_rule(self, name, split):
    assert segnet_split(name) == split


class TestErrors:
  def test_no_such_folder(self, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
      prepare_camvid(str(tmp_path / "nowhere"), str(tmp_path / "data"))

  def test_neither_layout(self, tmp_path):
    with pytest.raises(
      FileNotFoundError, match=r"expected train\.txt and val\.txt, or the folder 701_StillsRaw"
    ):
      prepare_camvid(str(tmp_path), str(tmp_path / "data"))

  def test_missing_files_are_named(self, source, tmp_path):
    for file in ("train/0.png", "valannot/7.png"):
      (source / file).unlink()
    with pytest.raises(FileNotFoundError, match=r"2 files are missing: .*train/0\.png, .*valannot/7\.png"):
      prepare_camvid(str(source), str(tmp_path / "data"))
    assert_not_prepared(tmp_path / "data", says="after missing files")

  def test_line_that_is_no_pair(self, source):
    with (source / "train.txt").open("a") as file:
      file.write("\ntrain/2.png\n")
    with pytest.raises(ValueError, match=r"train\.txt:5: expected \"image label\", got 'train/2.png'"):
      find_pairs(source)

  def test_empty_split(self, source, tmp_path):
    (source / "val.txt").write_text("\n")
    with pytest.raises(ValueError, match="the split 'val' is empty"):
      prepare_camvid(str(source), str(tmp_path / "data"))

  @pytest.mark.parametrize(
    ("list_", "where"), [("train", "in train and in train"), ("val", "in train and in val")]
  )
  def test_frame_that_stands_twice(self, source, list_, where):
    with (source / f"{list_}.txt").open("a") as file:
      file.write("train/0.png trainannot/0.png\n")
    with pytest.raises(ValueError, match=rf"train/0\.png: 0 stands twice, {where}"):
      find_pairs(source)

  @pytest.mark.parametrize("share", [0, 0.5, 0.7])
  @pytest.mark.parametrize("file", ["train/1.jpg", "trainannot/1.png", "train/2.png"])
  def test_truncated(self, source, tmp_path, file, share):
    Image.fromarray(pixels(1)).save(source / "train" / "1.jpg", quality=95)
    text = (source / "train.txt").read_text()
    (source / "train.txt").write_text(text.replace("train/1.png", "train/1.jpg"))
    whole = (source / file).read_bytes()
    (source / file).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=re.escape(f"{source / file}: not a readable image")):
      prepare_camvid(str(source), str(tmp_path / "data"))
    assert_not_prepared(tmp_path / "data", says="after a truncated file")

  def test_not_an_image(self, source, tmp_path):
    (source / "train" / "2.png").write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"train/2\.png: not a readable image"):
      prepare_camvid(str(source), str(tmp_path / "data"))

  def test_label_200(self, source, tmp_path):
    label = raw_label(2)
    label[5, 6] = 200
    save(source / "trainannot" / "2.png", label)
    with pytest.raises(ValueError, match=r"trainannot/2\.png: label 200 is not in the table"):
      prepare_camvid(str(source), str(tmp_path / "data"))
    assert_not_prepared(tmp_path / "data", says="after label 200")

  def test_sizes_differ(self, source, tmp_path):
    save(source / "valannot" / "7.png", raw_label(7, (12, 15)))
    with pytest.raises(ValueError, match=r"valannot/7\.png: label is 15x12, but .*val/7\.png is 16x12"):
      prepare_camvid(str(source), str(tmp_path / "data"))
    assert_not_prepared(tmp_path / "data", says="after the second of two splits failed")

  def test_label_of_three_channels(self, source, tmp_path):
    save(source / "trainannot" / "2.png", pixels(2))
    with pytest.raises(ValueError, match=r"trainannot/2\.png: expected .* one 8-bit channel, got mode RGB"):
      prepare_camvid(str(source), str(tmp_path / "data"))

  def test_command_says_it_in_one_line(self, source, tmp_path):
    save(source / "valannot" / "7.png", np.full(SIZE, 77, np.uint8))
    command = [
      sys.executable,
      "-m",
      "train.prepare",
      "camvid",
      "--source",
      source,
      "--dir",
      tmp_path / "data",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"error: {source}/valannot/7.png: label 77 is not in the table" in done.stderr


class TestPrepared:
  def test_again_is_fast_and_says_the_same(self, source, tmp_path, capsys):
    prepare_camvid(str(source), str(tmp_path / "data"))
    first = capsys.readouterr().out
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "data").rglob("*")}
    before = time.perf_counter()
    prepare_camvid(str(source), str(tmp_path / "data"))
    assert time.perf_counter() - before < 1
    assert capsys.readouterr().out.splitlines() == first.splitlines()[-3:]
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "data").rglob("*")} == files

  def test_moved_source_is_the_same(self, source, tmp_path):
    prepare_camvid(str(source), str(tmp_path / "data"))
    prepare_camvid(str(source.rename(tmp_path / "moved")), str(tmp_path / "data"))

  @pytest.mark.parametrize(
    "other",
    [{"train": range(4), "val": [7]}, {"train": range(3)}, {"train": [0, 1, 5], "val": [7]}],
    ids=["more", "no-val", "same-counts"],
  )
  def test_other_source(self, source, tmp_path, other):
    prepare_camvid(str(source), str(tmp_path / "data"))
    second = write_lists(tmp_path / "other", other)
    with pytest.raises(ValueError, match=f"was prepared from other files than those in {second}"):
      prepare_camvid(str(second), str(tmp_path / "data"))
    assert set(examples("train", tmp_path / "data")) == {"0", "1", "2"}

  def test_not_prepared(self, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python -m train\.prepare camvid --source DIR --dir"):
      open_camvid("train", str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()

  def test_split_that_is_not_there(self, source, tmp_path):
    prepare_camvid(str(source), str(tmp_path / "data"))
    with pytest.raises(ValueError, match="expected a split among train, val, got 'test'"):
      open_camvid("test", str(tmp_path / "data"))

  @pytest.mark.parametrize("damage", ["truncated", "removed"])
  def test_damaged_afterwards(self, source, tmp_path, damage):
    prepare_camvid(str(source), str(tmp_path / "data"))
    file = next((tmp_path / "data").rglob("*train.array_record*"))
    whole = file.read_bytes()
    file.unlink()
    if damage == "truncated":
      file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=rf"{file.parent}: example \d is unreadable .*prepare it again"):
      examples("train", tmp_path / "data")

  def test_without_tensorflow_and_advice(self, source, tmp_path):
    script = f"""
import sys
from train.data.datasets import open_camvid
from train.prepare import prepare_camvid
prepare_camvid({str(source)!r}, {str(tmp_path / "data")!r})
print(open_camvid("train", {str(tmp_path / "data")!r})[0]["label"].shape, "tensorflow" in sys.modules)
"""
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "(12, 16) False"
    assert done.stderr == ""


@pytest.fixture(scope="module")
def real_folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("camvid")
  prepare_camvid(str(REAL), str(folder))
  return folder


@needs_camvid
class TestRealCamvid:
  def test_counts(self, real_folder):
    assert [len(open_camvid(split, str(real_folder))) for split in ("train", "val")] == [367, 101]

  def test_bit_equal_to_the_files(self, real_folder):
    opened = open_camvid("train", str(real_folder))
    for i in (0, 91, 183, 274, 366):
      example = opened[i]
      raw = np.asarray(Image.open(REAL / "trainannot" / f"{example['id']}.png"))
      np.testing.assert_array_equal(example["label"], in_train_ids(raw))
      image = np.asarray(Image.open(REAL / "train" / f"{example['id']}.jpg"))
      np.testing.assert_array_equal(example["image"], image)

  def test_split_rule_gives_the_lists(self):
    for split, pairs in find_pairs(REAL).items():
      assert {segnet_split(pair.id) for pair in pairs} == {split}
