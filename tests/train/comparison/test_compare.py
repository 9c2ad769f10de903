"""Two runs compared: numbers, which images, what is left, and what cannot be compared."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.helpers.datasets import pixels, save
from tests.helpers.training import run, tiny_config
from train.compare import main, parse
from train.comparison.compare import compare
from train.comparison.run_pair import open_pair
from train.evaluation.best_worst import image_miou
from train.evaluation.evaluate import evaluate
from train.evaluation.evaluator import SegmentationEvaluator
from train.evaluation.predictor import Predictor
from train.experiment.experiment import open_split
from train.experiment.run import open_run
from train.loop.loop import train
from train.prepare import prepare
from train.visualization.colorize import colorize


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """Workdirs of max pooling and P-pooling."""
  folder = tmp_path_factory.mktemp("compared")
  for pool in ("max", "ppool"):
    train(tiny_config(f"runlocal,pool={pool}", steps=3), folder / pool)
  return folder / "max", folder / "ppool"


@pytest.fixture
def copies(runs, tmp_path):
  """The same, for a test to change, without evaluations."""
  for workdir in runs:
    shutil.copytree(workdir, tmp_path / workdir.name, ignore=shutil.ignore_patterns("evaluation-*"))
  return tmp_path / "max", tmp_path / "ppool"


@pytest.fixture(scope="module")
def out(runs, tmp_path_factory):
  """What a comparison of both leaves, with two images."""
  folder = tmp_path_factory.mktemp("figures")
  compare(*runs, folder, count=2)
  return folder


def rows_of(path):
  return list(csv.DictReader(path.read_text().splitlines()))


def files_of(folder):
  return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def change(workdir, **fields):
  """Fields of the config of a run, as "eval__flip" for eval.flip."""
  path = workdir / "config.json"
  config = json.loads(path.read_text())
  for name, value in fields.items():
    *folders, last = name.split("__")
    inner = config
    for key in folders:
      inner = inner[key]
    inner[last] = value
  path.write_text(json.dumps(config))


def iou_by_hand(confusion):
  hits = np.diagonal(confusion)
  return 100 * hits / (confusion.sum(0) + confusion.sum(1) - hits)


def test_gains_are_those_of_two_evaluations(runs, out):
  opened = [open_run(workdir) for workdir in runs]
  source = open_split(opened[0].config, "val")
  counts = [evaluate(r.experiment, r.variables, source, r.config) for r in opened]
  ious = [iou_by_hand(confusion) for confusion in counts]
  rows = rows_of(out / "gains.csv")
  names = opened[0].experiment.table.names
  classes, mean = rows[:-1], rows[-1]
  assert sorted(row["class"] for row in classes) == sorted(names)
  for row in classes:
    k = names.index(row["class"])
    assert (int(row["train_id"]), int(row["pixels"])) == (k, counts[0][k].sum())
    expected = [ious[0][k], ious[1][k], ious[1][k] - ious[0][k]]
    assert [float(row[key]) for key in ("baseline", "other", "gain")] == pytest.approx(expected, abs=1e-12)
  order = [float(row["gain"]) for row in classes]
  assert order == sorted(order, reverse=True)
  assert order[0] > order[-1]
  assert float(mean["gain"]) == pytest.approx(np.mean(ious[1] - ious[0]), abs=1e-12)
  for workdir, confusion in zip(runs, counts, strict=True):
    assert json.loads((workdir / "evaluation-val-3.json").read_text())["confusion"] == confusion.tolist()


def test_the_images_that_gain_most_are_shown_as_they_are(runs, out):
  """Chosen, scored and predicted again, one image at a time."""
  opened = [open_run(workdir) for workdir in runs]
  source = open_split(opened[0].config, "val")
  table = opened[0].experiment.table
  predict = [Predictor(r.experiment, r.config) for r in opened]
  expected = []
  for index in range(len(source)):
    image, label = source[index]["image"], source[index]["label"]
    found = [p(r.variables, image[None])[0] for p, r in zip(predict, opened, strict=True)]
    scores = [image_miou(SegmentationEvaluator(table).update(label, labels)) for labels in found]
    expected.append((scores[0] - scores[1], source[index]["id"], scores, (image, label, *found)))
  expected.sort(key=lambda entry: entry[:2])
  rows = rows_of(out / "examples.csv")
  assert [row["id"] for row in rows] == [entry[1] for entry in expected[:2]]
  for row, (loss, name, scores, panels) in zip(rows, expected, strict=False):
    numbers = [100 * scores[0], 100 * scores[1], -100 * loss]
    assert [float(row[key]) for key in ("baseline", "other", "gain")] == pytest.approx(numbers)
    for kind, panel in zip(("image", "truth", "baseline", "other"), panels, strict=True):
      with Image.open(out / "panels" / f"{int(row['rank']):02}-{name}-{kind}.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), panel)
        if kind != "image":
          np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), colorize(panel, table))
  assert len(list((out / "panels").iterdir())) == 2 * 4


def test_what_is_written_is_whole(out):
  names = [name for name in files_of(out) if not name.startswith("panels")]
  figures = [f"figure{n}.{kind}" for n in (4, 5) for kind in ("pdf", "png")]
  assert names == ["examples.csv", *figures, "gains.csv"]
  for n, width in ((4, 2070), (5, 1020)):
    assert (out / f"figure{n}.pdf").read_bytes().startswith(b"%PDF")
    assert b"/Type3" not in (out / f"figure{n}.pdf").read_bytes()
    with Image.open(out / f"figure{n}.png") as picture:
      assert picture.width == width
      assert np.asarray(picture.convert("L")).std() > 20


def test_a_second_call_leaves_nothing_of_the_first(runs, tmp_path):
  compare(*runs, tmp_path / "out", count=2)
  first = files_of(tmp_path / "out")
  compare(*runs, tmp_path / "out", count=2)
  assert files_of(tmp_path / "out") == first
  compare(*runs, tmp_path / "out", count=1, zoom=True)
  again = files_of(tmp_path / "out")
  assert len([name for name in again if name.startswith("panels")]) == 4
  assert again["figure4.png"] != first["figure4.png"]
  compare(*runs, tmp_path / "out", count=0)
  assert set(files_of(tmp_path / "out")) == {"figure5.pdf", "figure5.png", "gains.csv"}


def test_named_images_and_stored_evaluations(copies, tmp_path, capsys):
  """The images in the order asked for; counts are read where they are stored, and only there."""
  compare(*copies, tmp_path / "out", images=["scene-1-000003", "scene-1-000001"])
  assert [row["id"] for row in rows_of(tmp_path / "out/examples.csv")] == ["scene-1-000003", "scene-1-000001"]
  assert "wrote " in capsys.readouterr().out
  path = copies[1] / "evaluation-val-3.json"
  stored = json.loads(path.read_text())
  perfect = np.diag(np.sum(stored["confusion"], 1))
  path.write_text(json.dumps({**stored, "confusion": perfect.tolist()}))
  compare(*copies, tmp_path / "out", images=["scene-1-000001"])
  assert all(float(row["other"]) == 100 for row in rows_of(tmp_path / "out/gains.csv"))
  assert [row["id"] for row in rows_of(tmp_path / "out/examples.csv")] == ["scene-1-000001"]
  path.write_text(json.dumps({**stored, "confusion": perfect.tolist(), "inference": {"flip": True}}))
  compare(*copies, tmp_path / "out", count=0)
  assert not all(float(row["other"]) == 100 for row in rows_of(tmp_path / "out/gains.csv"))
  assert json.loads(path.read_text())["inference"] == {"flip": True}  # the user's
  path.write_text("{")
  with pytest.raises(ValueError, match=r"evaluation-val-3\.json: not an evaluation .*; delete it"):
    compare(*copies, tmp_path / "out", count=0)


def test_both_are_evaluated_alike(copies, out, tmp_path, capsys):
  """In the baseline's way: the gains are of the networks alone."""
  change(copies[1], eval__flip=True, eval__batch_size=1)
  compare(*copies, tmp_path / "out", count=0)
  said = capsys.readouterr().out
  assert (
    f"both runs are evaluated with the eval config of {copies[0]}; the other run's has another eval.flip"
    in said
  )
  assert (tmp_path / "out/gains.csv").read_bytes() == (out / "gains.csv").read_bytes()


@pytest.mark.parametrize(
  ("changed", "arguments", "message"),
  [
    (
      {"data__eval_split": "train"},
      {},
      r"same splits \(data.eval_split\), or --split, got 'val' and 'train'",
    ),
    ({"data__options__seed": 3}, {}, r"same images, got different ones: data\.options\.seed differs"),
    ({"data__options__val": 4}, {}, r"same images, got different ones: data\.options\.val differs"),
    ({"data__options__size": [48, 32]}, {}, r"ones: data\.options\.size differs"),
    ({}, {"split": "test"}, "expected the split train or val, got 'test'"),
    ({}, {"step": [2, 77]}, "expected a checkpoint"),
    (
      {},
      {"images": ["scene-1-00003"]},
      "--images: no image 'scene-1-00003' among the 5; did you mean 'scene-1-0",
    ),
  ],
)
def test_what_cannot_be_compared(copies, tmp_path, changed, arguments, message):
  change(copies[1], **changed)
  with pytest.raises(ValueError, match=message):
    compare(*copies, tmp_path / "out", **arguments)
  assert not (tmp_path / "out").exists()  # before anything is evaluated


def test_a_run_against_itself(runs, tmp_path):
  with pytest.raises(ValueError, match=r"expected two runs or two steps, got .*max at step 3 twice"):
    open_pair((runs[0], runs[0] / ".." / "max"))
  assert open_pair((runs[0], runs[0]), (2, 3)).titles == ("max pooling (step 2)", "max pooling (step 3)")
  with pytest.raises(FileNotFoundError, match="no run there"):
    open_pair((runs[0], tmp_path))


def test_other_data_sets_and_other_classes(runs, tmp_path):
  """Against a folder of one's own, and that against one with other names for its classes."""
  for name, classes in (("a", "soil stem"), ("b", "soil root")):
    source = tmp_path / f"source-{name}"
    rows = [f"{each},{raw},{raw},{raw},9,9,0\n" for raw, each in enumerate(classes.split())]
    for split in ("train", "val"):
      save(source / "images" / split / f"{split}.png", pixels(0, (32, 48)))
      save(source / "labels" / split / f"{split}.png", np.eye(32, 48, dtype=np.uint8))
    (source / "classes.csv").write_text("name,raw_id,train_id,r,g,b,thin\n" + "".join(rows))
    prepare("folder", str(source), str(tmp_path / f"data-{name}"))
    options = {"dir": str(tmp_path / f"data-{name}")}
    config = tiny_config("runlocal", steps=1)
    config.data.name = "folder"
    with config.data.unlocked():
      config.data.options = options
    train(config, tmp_path / name)
  with pytest.raises(ValueError, match=r"same data sets \(data.name\), got 'scenes' and 'folder'"):
    open_pair((runs[0], tmp_path / "a"))
  with pytest.raises(ValueError, match="expected runs with the same classes"):
    open_pair((tmp_path / "a", tmp_path / "b"))


def test_the_command(runs, tmp_path, monkeypatch):
  folder = tmp_path / "out"
  words = ["--step", "2", "3", "--count", "1", "--names", "before", "after"]
  status, output = run(["train.compare", *map(str, runs), f"--out={folder}", *words])
  assert status == 0, output
  assert "after against before:" in output
  assert (folder / "figure4.png").is_file()
  monkeypatch.setattr("sys.argv", ["compare", str(runs[0]), str(tmp_path / "none"), f"--out={folder}"])
  with pytest.raises(SystemExit, match=r"error: .*none: no run there"):
    main()


@pytest.mark.parametrize(
  ("words", "message"),
  [
    ("--count -1", "--count: expected 0 or more, got -1"),
    ("--step 1 2 3", "--step: expected one of both or one of each, got 3"),
    ("--count 2 --images a", "not allowed with argument"),
  ],
)
def test_errors_of_the_command_line(words, message, capsys):
  with pytest.raises(SystemExit):
    parse(["a", "b", "--out", "c", *words.split()])
  assert message in capsys.readouterr().err
