"""Validation of submissions that other programs made."""

import gzip
import io
import struct
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.helpers.assets import ASSETS, needs
from tests.helpers.datasets import pixels, save, write_lines
from tests.helpers.submissions import COMP5, COMP6, FRAMES, LABEL_IDS, PALETTE, decode_png, encode_png
from train.data.submission_formats import SUBMISSION_FORMATS
from train.submission import archives
from train.submission.__main__ import main, validate_archive
from train.submission.checks import check_archive
from train.submission.images import list_expected_images


def tar_gz(path, files, mode="w:gz"):
  with tarfile.open(path, mode) as archive:
    for name, content in files.items():
      info = tarfile.TarInfo(name)
      info.size = len(content)
      archive.addfile(info, io.BytesIO(content))
  return path


def zipped(path, files):
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    for name, content in files.items():
      archive.writestr(name, content)
  return path


GOOD = encode_png(np.arange(12).reshape(3, 4))
SIZES = dict.fromkeys(("2008_000001", "2008_000002"), (3, 4))
WIDE = np.full((3, 4), 1000, np.int32)


def first_is(content):
  """Two VOC predictions, of which the first has this content."""
  return {f"{COMP6}/2008_000001.png": content, f"{COMP6}/2008_000002.png": GOOD}


def sixteen_bits():
  file = io.BytesIO()
  Image.fromarray(WIDE.astype(np.uint16)).save(file, "PNG")
  return file.getvalue()


def huge_png():
  """A small PNG that declares a billion pixels."""
  return GOOD[:16] + struct.pack(">II", 2**15, 2**15) + GOOD[24:]


@pytest.mark.parametrize(
  ("files", "expected"),
  [
    (first_is(encode_png(np.full((3, 4), 255))), "expected 0..20 (1):\n  {}: 255 (12 pixels)"),
    (
      first_is(encode_png(np.zeros((3, 5)))),
      "wrong heights and widths (1):\n  {}: expected 3 x 4, got 3 x 5",
    ),
    (first_is(encode_png(np.zeros((3, 4)), None)), "expected 8-bit palette (1):\n  {}: 8-bit gray"),
    (first_is(encode_png(np.zeros((3, 4)), mode="RGB")), "{}: 8-bit RGB"),
    (first_is(encode_png(np.zeros((3, 4)), PALETTE[:16])), "{}: 4-bit palette"),
    (first_is(sixteen_bits()), "{}: 16-bit gray"),
    (
      first_is(encode_png(np.zeros((3, 4)), PALETTE[:, ::-1])),
      "palettes that differ from that of the training labels (1):\n  {}",
    ),
    (first_is(b""), "unreadable files (1):\n  {}: empty"),
    (first_is(b"GIF89a"), "unreadable files (1):\n  {}: not a PNG"),
    (first_is(GOOD[:-20]), "unreadable files (1):\n  {}: corrupt"),
    (first_is(huge_png()), "{}: expected 3 x 4, got 32768 x 32768"),
    ({**first_is(GOOD), "../evil.png": GOOD}, "paths that escape the archive (1):\n  ../evil.png"),
    ({**first_is(GOOD), "/etc/evil.png": GOOD}, "paths that escape the archive (1):\n  /etc/evil.png"),
    (
      {**first_is(GOOD), "results/.DS_Store": b""},
      "unexpected files; expected only PNGs (1):\n  results/.DS",
    ),
    ({**first_is(GOOD), f"{COMP6}/x.png": GOOD}, "not in the split (1):\n  " + f"{COMP6}/x.png"),
    ({**first_is(GOOD), f"./{COMP6}/2008_000001.png": GOOD}, "images with two predictions (1):\n  {} and "),
    ({f"{COMP6}/2008_000002.png": GOOD}, "missing (1):\n  2008_000001.png"),
    ({f"{COMP5}/2008_000001.png": GOOD, f"{COMP6}/2008_000002.png": GOOD}, "more than one competition (1)"),
    (
      {n.replace("results/", ""): c for n, c in first_is(GOOD).items()},
      f"expected in {COMP6} or {COMP5} (2):\n  VOC2012/",
    ),
  ],
)
def test_invalid_archive_is_reported_by_file(files, expected, tmp_path):
  archive = tar_gz(tmp_path / "mine.tgz", files)
  problems = check_archive(archive, SUBMISSION_FORMATS["voc"], SIZES).problems
  with pytest.raises(ValueError, match="problems: ") as error:
    problems.raise_if_any("mine")
  assert expected.format(f"{COMP6}/2008_000001.png") in str(error.value)
  assert len(problems.by_kind) == 1, "only this problem is reported"


def test_archives_of_other_programs_are_valid(tmp_path):
  short = encode_png(np.arange(12).reshape(3, 4), PALETTE[:21])
  root = tmp_path / COMP6
  for name in SIZES:
    save(root / f"{name}.png", np.zeros((3, 4), np.uint8)).write_bytes(short)
  with tarfile.open(tmp_path / "mine.tgz", "w:gz") as archive:
    archive.add(tmp_path / "results", "./results")  # with its folders, as tar czf does
  assert not check_archive(tmp_path / "mine.tgz", SUBMISSION_FORMATS["voc"], SIZES).problems.by_kind
  gray = np.resize(LABEL_IDS, (1024, 2048))
  files = {f"city/{FRAMES[0]}_leftImg8bit.png": encode_png(gray, None), f"{FRAMES[1]}.png": encode_png(gray)}
  contents = check_archive(zipped(tmp_path / "mine.zip", files), SUBMISSION_FORMATS["cityscapes"], None)
  assert not contents.problems.by_kind
  assert [*contents.predictions] == FRAMES[:2]


def test_values_and_names_of_cityscapes_and_ade20k(tmp_path):
  train_ids = encode_png(np.zeros((1024, 2048)), None)
  files = {f"{FRAMES[0]}.png": train_ids, f"a/{FRAMES[0]}_x.png": train_ids, "readme.png": train_ids}
  found = check_archive(
    zipped(tmp_path / "c.zip", files), SUBMISSION_FORMATS["cityscapes"], dict.fromkeys(FRAMES)
  ).problems.by_kind
  listed = ", ".join(map(str, LABEL_IDS))
  assert found == {
    f"values of no class; expected {listed}": [f"{FRAMES[0]}.png: 0 ({2**21} pixels)"],
    "images with two predictions": [f"{FRAMES[0]}.png and a/{FRAMES[0]}_x.png"],
    "unexpected files; expected only PNGs with names that begin with city_seq_frame": ["readme.png"],
    "missing": [f"{frame}_pred_labelIds.png" for frame in FRAMES[1:]],
  }
  files = {
    "ADE_test_00000001.png": encode_png([[0, 1, 150, 151]], None),
    "x/ADE_test_00000002.png": encode_png([[5]], None),
  }
  assert check_archive(
    zipped(tmp_path / "a.zip", files), SUBMISSION_FORMATS["ade20k"], None
  ).problems.by_kind == {
    "values of no class; expected 1..150": ["ADE_test_00000001.png: 0 (1 pixels), 151 (1 pixels)"],
    "files in a wrong folder; expected without folders": ["x/ADE_test_00000002.png"],
  }


def test_decompression_bombs_are_rejected(tmp_path, monkeypatch):
  image = f"{COMP6}/2008_000001.png"
  found = check_archive(
    tar_gz(tmp_path / "a.tgz", {image: bytes(2**26 + 1)}), SUBMISSION_FORMATS["voc"], None
  ).problems.by_kind
  assert found == {"too large for a label map": [f"{image}: {2**26 + 1} bytes"]}
  found = check_archive(
    tar_gz(tmp_path / "b.tgz", {image: huge_png()}), SUBMISSION_FORMATS["voc"], None
  ).problems.by_kind
  [[text]] = found.values()
  assert "32768 x 32768 pixels, more than any image" in text
  monkeypatch.setattr(archives, "MAX_ARCHIVE_BYTES", 2**22)
  zeros = {f"{i}.png": bytes(2**20) for i in range(5)}
  for archive, name in (
    (tar_gz(tmp_path / "c.tgz", zeros), "voc"),
    (zipped(tmp_path / "c.zip", zeros), "ade20k"),
  ):
    [[text]] = check_archive(archive, SUBMISSION_FORMATS[name], None).problems.by_kind.values()
    assert text == "it unpacks to more than 4 MB, larger than any submission"


def test_links_and_unreadable_archives_are_rejected(tmp_path):
  with tarfile.open(tmp_path / "link.tgz", "w:gz") as archive:
    link = tarfile.TarInfo(f"{COMP6}/2008_000001.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive.addfile(link)
  assert (
    "links and devices"
    in check_archive(tmp_path / "link.tgz", SUBMISSION_FORMATS["voc"], None).problems.by_kind
  )
  whole = tar_gz(tmp_path / "whole.tgz", first_is(GOOD)).read_bytes()
  (tmp_path / "half.tgz").write_bytes(whole[: len(whole) // 2])
  (tmp_path / "sum.tgz").write_bytes(whole[:-8] + bytes(4) + whole[-4:])
  tar_gz(tmp_path / "plain.tar", first_is(GOOD), "w")
  zipped(tmp_path / "other.zip", {"a.png": GOOD})
  (tmp_path / "text.gz").write_bytes(gzip.compress(b"text"))
  for name in ("half.tgz", "sum.tgz", "plain.tar", "other.zip", "text.gz"):
    [kind] = check_archive(tmp_path / name, SUBMISSION_FORMATS["voc"], SIZES).problems.by_kind
    assert kind == "unreadable archives", name
  packed = bytearray(zipped(tmp_path / "z.zip", {"a.png": encode_png(np.ones((3, 4)), None)}).read_bytes())
  packed[60] ^= 255
  (tmp_path / "z.zip").write_bytes(packed)
  assert [*check_archive(tmp_path / "z.zip", SUBMISSION_FORMATS["ade20k"], None).problems.by_kind] == [
    "unreadable files"
  ]


def test_command_prints_problems_and_omissions(tmp_path, monkeypatch, capsys):
  archive = tar_gz(tmp_path / "mine.tgz", {f"{COMP6}/{i}.png": GOOD for i in (*SIZES, *map(str, range(30)))})
  for name in [*SIZES, "2008_000003", "2008_000004"]:
    save(tmp_path / "JPEGImages" / f"{name}.jpg", pixels(0, (3, 4)))
  write_lines(tmp_path / "test.txt", [*SIZES, "2008_000003"])
  words = [
    "",
    "voc",
    str(archive),
    "--images",
    str(tmp_path / "JPEGImages"),
    "--ids",
    str(tmp_path / "test.txt"),
  ]
  monkeypatch.setattr(sys, "argv", words)
  with pytest.raises(SystemExit) as error:
    main()
  text = error.value.code  # a text is exit status 1
  assert "mine.tgz: voc's server rejects this archive; problems: 31" in text
  assert "not in the split (30):" in text
  assert f"  {COMP6}/19.png\n  and 10 more\nmissing (1):\n  2008_000003.png" in text
  validate_archive("voc", tar_gz(archive, first_is(GOOD)))
  assert capsys.readouterr().out.splitlines() == [
    f"{archive}: valid for voc's server, 2 predictions",
    "Completeness was not checked: give the images with --images or --ids.",
    "Sizes were not checked: give the images with --images.",
  ]


def test_expected_images_from_folder_and_list(tmp_path):
  city = SUBMISSION_FORMATS["cityscapes"]
  save(tmp_path / "images" / "berlin" / f"{FRAMES[0]}_leftImg8bit.png", pixels(0, (3, 4)))
  assert list_expected_images(city, tmp_path / "images", None) == {FRAMES[0]: (3, 4)}
  write_lines(tmp_path / "ids", [f"leftImg8bit/test/berlin/{FRAMES[0]}_leftImg8bit.png", FRAMES[1]])
  assert list_expected_images(city, None, tmp_path / "ids") == {FRAMES[0]: None, FRAMES[1]: None}
  assert list_expected_images(city, None, None) is None
  with pytest.raises(FileNotFoundError, match=rf"no image of {FRAMES[1]} \(1 in all\)"):
    list_expected_images(city, tmp_path / "images", tmp_path / "ids")
  with pytest.raises(FileNotFoundError, match="nowhere: no images there"):
    list_expected_images(city, tmp_path / "nowhere", None)
  write_lines(tmp_path / "ids", ["photo"])
  with pytest.raises(ValueError, match="'photo': expected the name of an image that begins with city_seq"):
    list_expected_images(city, None, tmp_path / "ids")


@needs("ade20k_sample")
def test_genuine_sample_predictions_are_valid(tmp_path):
  folder = ASSETS / "ade20k_sample"
  images = list_expected_images(SUBMISSION_FORMATS["ade20k"], folder / "images", None)
  files = {path.name: path.read_bytes() for path in sorted((folder / "predictions").glob("*.png"))}
  found = check_archive(
    zipped(tmp_path / "a.zip", files), SUBMISSION_FORMATS["ade20k"], images
  ).problems.by_kind
  # They are the labels, "other objects" included, which no prediction should be: nothing else is wrong.
  assert [line.partition(" (")[0] for line in found.pop("values of no class; expected 1..150")] == [
    f"{name}: 0" for name in files
  ]
  assert not found
  files = {name: encode_png(np.maximum(decode_png(content), 1), None) for name, content in files.items()}
  assert not check_archive(
    zipped(tmp_path / "b.zip", files), SUBMISSION_FORMATS["ade20k"], images
  ).problems.by_kind
