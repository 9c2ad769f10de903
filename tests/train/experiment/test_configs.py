"""All configs build; unknown names are refused with a suggestion."""

import itertools
import pathlib
import re

import flax
import jax
import ml_collections
import pytest

from configs.common import default_config, parameter_groups
from ppool_jax import models
from tests.helpers.training import ROOT, run
from train.data.registry import get_dataset
from train.experiment.experiment import make_experiment
from train.experiment.overrides import parse_config
from train.experiment.pooling_config import build_pool_spec
from train.step.optimizer import group_labels, make_optimizer, make_schedule
from train.utils.config import load_config, parse_arg

FILES = sorted(
  path for path in (ROOT / "configs").glob("*.py") if path.stem not in ("__init__", "common", "recipes")
)
POOLS = ("max", "avg", "ppool", "gated", "dpp", "mixed", "lp", "soft", "strided", "allconv")


@pytest.mark.parametrize(("file", "pool"), list(itertools.product(FILES, POOLS)), ids=str)
def test_every_config_builds(file, pool):
  shipped = {path.stem for path in (ROOT / "configs").glob("*.py")}
  assert {path.stem for path in FILES} == shipped - {"__init__", "common", "recipes"}
  for more in ("", ",runlocal", ",seed=3"):
    config = load_config(f"{file}:pool={pool}{more}")
    assert config.pool == pool
    experiment = make_experiment(config)
    shapes = jax.eval_shape(experiment.model.init, jax.random.key(0), jax.numpy.zeros((1, 32, 32, 3)))
    make_optimizer(config.optimizer, make_schedule(config.schedule, config.steps), shapes["params"])
    assert get_dataset(config.data.name)


@pytest.mark.parametrize(
  ("data", "network"),
  list(itertools.product(("voc", "cityscapes", "ade20k"), [n for n in models.NETWORKS if n != "vgg_mini"])),
)
def test_the_papers_tables(data, network):
  """Each data set with each network, by both recipes; every parameter is in a group."""
  for recipe in ("paper", "modern"):
    config = load_config(f"{ROOT}/configs/paper.py:data={data},network={network},recipe={recipe},pool=ppool")
    config.model.width = 0.1
    experiment = make_experiment(config)
    assert experiment.table.num_classes == {"voc": 21, "cityscapes": 19, "ade20k": 150}[data]
    shapes = jax.eval_shape(experiment.model.init, jax.random.key(0), jax.numpy.zeros((1, 64, 64, 3)))
    make_optimizer(config.optimizer, make_schedule(config.schedule, config.steps), shapes["params"])
    assert ("batch_stats" in shapes) == (not network.startswith("vgg"))
    assert config.loss.normalize == ("image" if config.schedule.learning_rate < 1e-6 else "pixel")


def test_the_papers_table_1():
  """Section 4.1: 2e-7 for the sum over pixels, 10,000 steps, one step of the rate at 6,000."""
  config = load_config(f"{ROOT}/configs/paper.py:data=voc,network=resnet50,pool=ppool")
  schedule = make_schedule(config.schedule, config.steps)
  assert [float(schedule(step)) for step in (0, 5999, 6001)] == pytest.approx([2e-7, 2e-7, 2e-8])
  assert (config.steps, config.data.split, config.optimizer.groups.alpha.lr) == (10_000, "trainaug", 3.0)
  assert config.optimizer.groups.kernel.optimizer == "caffe_sgd"
  for arg, message in (
    ("data=vox", "data: expected one of voc"),
    ("recipe=old", "recipe: expected one of paper"),
    ("network=vgg", "network: expected one of vgg16"),
  ):
    with pytest.raises(ValueError, match=message):
      load_config(f"{ROOT}/configs/paper.py:{arg}")


@pytest.mark.parametrize("name", models.NETWORKS)
def test_the_recipes_groups_cover_every_network(name):
  """Every parameter of every pool and head is in exactly one group; batch norm has no decay."""
  for pool in ("ppool", "allconv", "dpp", "gated", "mixed"):
    if (name, pool) == ("resnet50", "allconv"):
      continue
    model = models.build(name, 3, pool=pool, width=0.1)
    params = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 64, 64, 3)))["params"]
    groups = {key: group["pattern"] for key, group in parameter_groups().items()}
    labels = flax.traverse_util.flatten_dict(group_labels(params, groups), sep="/")
    for path, label in labels.items():
      if "norm" in path:
        assert label == "norm", path
      elif path.startswith("head"):
        assert label == ("head_bias" if path.endswith("bias") else "head_kernel"), path
      elif "/alpha/" in path:
        assert label == "alpha", path
      elif path.endswith("/kernel"):
        assert label == "kernel", path


def flat(config, prefix=""):
  for key, value in config.items():
    if isinstance(value, ml_collections.ConfigDict) and prefix + key not in OPEN:
      yield from flat(value, f"{prefix}{key}.")
    else:
      yield prefix + key


# Free-form: keywords of a pool, of a data set, groups of parameters.
OPEN = ("pool_kwargs", "alpha", "model.options", "data.options", "optimizer.groups")


def test_every_config_field_is_read():
  """The program reads every field."""
  source = "\n".join(path.read_text() for path in pathlib.Path(ROOT, "train").rglob("*.py"))
  for name in flat(default_config()):
    assert re.search(rf"(config|data)(\.\w+)*\.{name.split('.')[-1]}\b", source), name


def test_stages():
  config = load_config(f"{ROOT}/configs/camvid_vgg16.py:pool=ppool,pool_stages=pool1+pool3")
  pools = build_pool_spec(config)
  assert {stage: pool[0] for stage, pool in pools.items()} == {
    "default": "max", "pool1": "ppool", "pool3": "ppool"
  }  # fmt: skip
  assert pools["pool1"][1]["alpha"][0] == "side_branch"


def test_arguments():
  arg = parse_arg("seed=3,runlocal,name=ab", seed=0, runlocal=False, name="", rate=0.5, stages=("a",))
  assert arg.to_dict() == {"seed": 3, "runlocal": True, "name": "ab", "rate": 0.5, "stages": ("a",)}
  assert parse_arg("stages=x+y", stages=()).stages == ("x", "y")
  with pytest.raises(ValueError, match=r"unknown key 'pol': did you mean 'pool'\?"):
    parse_arg("pol=max", pool="max", seed=0)
  with pytest.raises(ValueError, match="config argument seed: expected int, got 'one'"):
    parse_arg("seed=one", seed=0)


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--config.sedule.learning_rate=1", r"--config.sedule: unknown key 'sedule': did you mean 'schedule'\?"),
    (
      "--config.schedule.learning_rat=1",
      r"--config.schedule.learning_rat: unknown key 'learning_rat': did you mean 'learning_rate'\?",
    ),
    ("--config.data.crop.x=1", r"--config.data.crop.x: unknown key 'x'"),
    ("--config.data.crop[2]=1", r"--config.data.crop\[2\]: expected an index below 2, got 2"),
    ("--config.data=1", r"--config.data: expected one of its fields, batch|name"),
  ],
)
def test_unknown_overrides_are_refused(flag, message):
  config = f"--config={ROOT}/configs/quickstart.py"
  with pytest.raises(ValueError, match=message):
    parse_config([config, flag])
  read, rest = parse_config(
    [config, "--config.schedule.learning_rate=1", "--config.optimizer.groups.alpha.lr=2", "--workdir=x"]
  )
  assert (read.schedule.learning_rate, read.optimizer.groups.alpha.lr, rest) == (1.0, 2.0, ["--workdir=x"])


@pytest.mark.parametrize("program", ["train", "train.plan"])
def test_help_names_the_file_of_the_fields(program):
  status, shown = run([program, "--help"])
  assert status == 0, shown
  assert f"python -m {program} --config=" in shown
  assert "configs/common.py lists them all" in shown


def test_program_errors_are_one_line():
  file = "--config=configs/quickstart.py"
  for flags, message in (
    ([file + ":sed=1"], "unknown key 'sed': did you mean 'seed'?"),
    ([file, "--config.stepz=1"], "unknown key 'stepz': did you mean 'steps'?"),
    ([file + "x"], "quickstart.pyx"),
    ([file, "--config.data.name=camvd"], "did you mean 'camvid'?"),
    ([file, "--config.pool=pool"], "pool: expected one of max, avg"),
    (
      ["--config=configs/camvid_vgg16.py", "--config.model.weights=/none.h5", "--config.batch_size=1"],
      "/none.h5",
    ),
  ):
    status, output = run(["train", *flags, "--workdir=/tmp/never-made"])
    assert status == 1, output
    assert message in output, output
    assert "Traceback" not in output, output
  assert not pathlib.Path("/tmp/never-made").exists()
