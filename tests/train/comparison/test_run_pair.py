"""Runs that can and cannot be compared, and the command line."""

import json

import numpy as np
import pytest

from tests.helpers.datasets import pixels, save
from tests.helpers.training import run, tiny_config
from train.compare import main, parse
from train.comparison.compare import compare
from train.comparison.run_pair import open_pair
from train.loop.loop import train
from train.prepare import prepare


def change(workdir, **fields):
  """Changes fields of a run's config, such as "eval__flip" for eval.flip."""
  path = workdir / "config.json"
  config = json.loads(path.read_text())
  for name, value in fields.items():
    *folders, last = name.split("__")
    inner = config
    for key in folders:
      inner = inner[key]
    inner[last] = value
  path.write_text(json.dumps(config))


def test_both_runs_use_the_inference_of_the_baseline(copies, out, tmp_path, capsys):
  """The gains are of the networks alone, not of the inference."""
  change(copies[1], eval__flip=True, eval__batch_size=1)
  compare(*copies, tmp_path / "out", count=0)
  printed = capsys.readouterr().out
  assert (
    f"both runs are evaluated with the eval config of {copies[0]}; the other run's has another eval.flip"
    in printed
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
def test_incomparable_runs_are_refused(copies, tmp_path, changed, arguments, message):
  change(copies[1], **changed)
  with pytest.raises(ValueError, match=message):
    compare(*copies, tmp_path / "out", **arguments)
  assert not (tmp_path / "out").exists()  # before anything is evaluated


def test_the_same_checkpoint_twice_is_refused(runs, tmp_path):
  with pytest.raises(ValueError, match=r"expected two runs or two steps, got .*max at step 3 twice"):
    open_pair((runs[0], runs[0] / ".." / "max"))
  assert open_pair((runs[0], runs[0]), (2, 3)).titles == ("max pooling (step 2)", "max pooling (step 3)")
  with pytest.raises(FileNotFoundError, match="no run there"):
    open_pair((runs[0], tmp_path))


def test_other_data_sets_or_classes_are_refused(runs, tmp_path):
  """Scenes against a folder data set, and this against one with other class names."""
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


def test_the_command_writes_figures_and_names_errors(runs, tmp_path, monkeypatch):
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
def test_invalid_arguments_are_refused(words, message, capsys):
  with pytest.raises(SystemExit):
    parse(["a", "b", "--out", "c", *words.split()])
  assert message in capsys.readouterr().err
