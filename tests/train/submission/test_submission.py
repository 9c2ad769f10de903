"""Submissions written by a run."""

import dataclasses
import fnmatch
import json

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from tests.helpers.datasets import pixels, save, write_voc
from tests.helpers.submissions import COMP5, COMP6, FRAMES, LABEL_IDS, decode_png, encode_png, read_members
from tests.helpers.training import tiny_config
from train.data import submission_formats as formats
from train.data.submission_formats import SUBMISSION_FORMATS
from train.evaluation.predictor import Predictor
from train.experiment.experiment import init_variables, make_experiment
from train.experiment.run import Run, open_run
from train.loop.loop import train
from train.predict import parse
from train.prepare import prepare
from train.submission import write
from train.submission.png import encode
from train.submission.write import write_submission


def config_of(name, folder, **overrides):
  config = tiny_config(data__name=name, data__eval_split="train", **overrides)
  config.data.options = ConfigDict({"dir": str(folder)})
  return config


@pytest.fixture(scope="module")
def voc_run(tmp_path_factory):
  """A run on a tiny VOC: four training images, and three test images of two sizes."""
  root = tmp_path_factory.mktemp("voc")
  source = write_voc(root / "VOC2012", {"train": [1, 2, 3, 4], "val": [5], "test": [7, 8, 9]})
  save(source / "JPEGImages" / "8.jpg", pixels(8, (20, 30)))
  prepare("voc", str(root), str(root / "data"), partial=True)
  train(config_of("voc", root / "data", steps=1, batch_size=8, checkpoint__every=1), root / "run")
  return root / "run"


@pytest.fixture
def untrained(monkeypatch):
  """A function that makes `write_submission` use an untrained run of the given data set."""

  def put(name):
    config = config_of(name, "nowhere")
    experiment = make_experiment(config)
    run = Run(config, experiment, 0, init_variables(experiment, 0))
    monkeypatch.setattr(write, "open_run", lambda workdir, step: run)
    return run

  return put


def small(monkeypatch, size):
  """Replaces the image size of the Cityscapes format."""
  form = dataclasses.replace(SUBMISSION_FORMATS["cityscapes"], size=size)
  monkeypatch.setitem(formats.SUBMISSION_FORMATS, "cityscapes", form)
  return form


def predicted(run, image):
  return Predictor(run.experiment, run.config)(run.variables, image[None])[0]


def test_voc_archive(voc_run, tmp_path, capsys):
  arguments = parse(["--workdir", str(voc_run), "--submission", "voc", "--out", str(tmp_path)])
  found = read_members(write_submission(**{**arguments, "out": tmp_path}))
  assert list(found) == [f"{COMP5}/{i}.png" for i in "789"]  # nothing but VOC's train, and no weights
  assert (tmp_path / "results.tar.gz").is_file()
  assert "results.tar.gz: valid for voc's server, 3 predictions" in capsys.readouterr().out
  run = open_run(voc_run)
  for i, size in (("7", (12, 16)), ("8", (20, 30)), ("9", (12, 16))):
    content = found[f"{COMP5}/{i}.png"]
    assert content[24:26] == bytes([8, 3])  # eight bits, indexed
    image = decode_png(content)
    photograph = np.asarray(Image.open(voc_run.parent / "VOC2012" / "JPEGImages" / f"{i}.jpg"))
    np.testing.assert_array_equal(np.asarray(image), predicted(run, photograph))
    assert np.asarray(image).shape == size
    colors = np.reshape(image.getpalette(), (256, 3))
    # VOClabelcolormap.m's first five, tvmonitor's, and void's.
    rows = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [0, 64, 128], [224, 224, 192]]
    np.testing.assert_array_equal(colors[[0, 1, 2, 3, 4, 20, 255]], rows)


@pytest.mark.parametrize(
  ("weights", "data", "split", "folder"),
  [
    ("", "voc", "trainval", COMP5),
    ("", "voc", "trainaug", COMP6),
    ("", "folder", "train", COMP6),
    ("vgg16.h5", "voc", "train", COMP6),
  ],
)
def test_voc_competition_follows_the_training_data(weights, data, split, folder):
  config = tiny_config(model__weights=weights, data__name=data, data__split=split)
  assert SUBMISSION_FORMATS["voc"].choose_folder(config) == folder


def test_cityscapes_archive(untrained, tmp_path, monkeypatch):
  small(monkeypatch, (16, 32))
  run = untrained("cityscapes")
  images = {frame: pixels(i, (16, 32)) for i, frame in enumerate(FRAMES)}
  for frame, image in images.items():
    save(tmp_path / "leftImg8bit" / frame.split("_")[0] / f"{frame}_leftImg8bit.png", image)
  pattern = str(tmp_path / "leftImg8bit" / "**" / "*.png")
  found = read_members(write_submission("run", "cityscapes", tmp_path / "out", images=pattern))
  assert list(found) == [f"{frame}_pred_labelIds.png" for frame in FRAMES]
  for (frame, image), (name, content) in zip(images.items(), found.items(), strict=True):
    assert fnmatch.fnmatch(name, f"{frame}*.png")  # evalPixelLevelSemanticLabeling.py's getPrediction
    assert content[24:26] == bytes([8, 0])
    np.testing.assert_array_equal(np.asarray(decode_png(content)), LABEL_IDS[predicted(run, image)])


def test_ade20k_archive(untrained, tmp_path):
  run = untrained("ade20k")
  images = {f"ADE_test_{i:08d}": pixels(i, (12 + i % 2, 20)) for i in range(3)}
  for name, image in images.items():
    save(tmp_path / f"{name}.png", image)
  found = read_members(write_submission("run", "ade20k", tmp_path / "out", images=str(tmp_path / "*.png")))
  assert list(found) == [f"{name}.png" for name in images]
  for image, content in zip(images.values(), found.values(), strict=True):
    assert content[24:26] == bytes([8, 0])
    np.testing.assert_array_equal(np.asarray(decode_png(content)), predicted(run, image) + 1)


def test_interrupted_submission_resumes(voc_run, tmp_path, monkeypatch):
  asked = []

  def predict_dataset(experiment, variables, source, config):
    for index in range(len(source)):
      example = source[index]
      asked.append(example["id"])
      if len(asked) == 2:
        raise KeyboardInterrupt
      yield example, np.full(example["image"].shape[:2], int(example["id"]), np.uint8)

  monkeypatch.setattr(write, "predict_dataset", predict_dataset)
  with pytest.raises(KeyboardInterrupt):
    write_submission(voc_run, "voc", tmp_path)
  assert sorted(path.name for path in tmp_path.rglob("*.*")) == [f"{asked[0]}.png", "submission.json"]
  archive = write_submission(voc_run, "voc", tmp_path)
  assert asked[1] == asked[2]
  assert sorted([asked[0], *asked[2:]]) == ["7", "8", "9"]
  assert [decode_png(content).getextrema()[0] for content in read_members(archive).values()] == [7, 8, 9]
  first = archive.read_bytes()
  assert write_submission(voc_run, "voc", tmp_path).read_bytes() == first
  mark = tmp_path / "submission.json"
  mark.write_text(json.dumps({**json.loads(mark.read_text()), "variables": "others"}))
  with pytest.raises(
    ValueError, match=r"contains another submission \(variables differ\); choose another --out"
  ):
    write_submission(voc_run, "voc", tmp_path)
  mark.unlink()
  with pytest.raises(ValueError, match="comp5_test_cls: contains files of no submission"):
    write_submission(voc_run, "voc", tmp_path)


def test_invalid_archive_is_not_written(voc_run, tmp_path):
  archive = write_submission(voc_run, "voc", tmp_path)
  archive.unlink()
  (tmp_path / COMP5 / "8.png").write_bytes(encode_png(np.full((20, 30), 21)))
  with pytest.raises(ValueError, match=r"results\.tar\.gz: not written; problems: 1\n.*\n.*8\.png: 21 \(600"):
    write_submission(voc_run, "voc", tmp_path)
  assert not [path for path in tmp_path.iterdir() if "tar" in path.name]


def test_all_invalid_images_are_named(untrained, tmp_path):
  untrained("cityscapes")
  for city, size in (("a", (16, 32)), ("b", (1024, 2048))):
    save(tmp_path / city / f"{FRAMES[0]}_leftImg8bit.png", np.zeros((*size, 3), np.uint8))
  save(tmp_path / "c" / "photo.png", pixels(0))
  (tmp_path / "d.png").write_bytes(b"")
  with pytest.raises(ValueError, match="accepts no predictions of these images; problems: 4") as error:
    write_submission("run", "cityscapes", tmp_path / "out", images=str(tmp_path / "**" / "*.png"))
  text = str(error.value)
  assert f"{FRAMES[0]}: expected 1024 x 2048, got 16 x 32" in text
  assert f"{FRAMES[0]}_leftImg8bit: another image has the id {FRAMES[0]}" in text
  assert "'photo': expected the name of an image that begins with city_seq_frame" in text
  assert "d.png: not a readable image" in text
  assert not (tmp_path / "out").exists()


def test_invalid_submission_is_rejected(voc_run, tmp_path):
  with pytest.raises(ValueError, match="expected a run that predicts its 150 classes, got one of voc, which"):
    write_submission(voc_run, "ade20k", tmp_path)
  with pytest.raises(ValueError, match=r"voc: expected a split among .*, got 'tset'"):
    write_submission(voc_run, "voc", tmp_path, split="tset")
  with pytest.raises(FileNotFoundError, match=r"--images none/\*: no such files"):
    write_submission(voc_run, "voc", tmp_path, images="none/*")


@pytest.mark.parametrize(
  ("command", "error"),
  [
    ("--submission voc --alpha", "--alpha does not go with --submission"),
    ("--images *.jpg --split val", "--split does not go without --submission"),
    ("--submission voc --images *.jpg --split val", "--split does not go with --images"),
    ("", "--images or --submission is needed"),
  ],
)
def test_invalid_options_are_rejected(command, error, capsys):
  with pytest.raises(SystemExit):
    parse(["--workdir", "w", "--out", "o", *command.split()])
  assert error in capsys.readouterr().err


def test_encoded_cityscapes_image_decodes_to_itself():
  values = np.resize(LABEL_IDS, (1024, 2048))
  np.testing.assert_array_equal(np.asarray(decode_png(encode(values, None))), values)
