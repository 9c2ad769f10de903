"""Whole trainings: compilation, files, resumption, refused inputs, the order of the hooks."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.training import TinyTraining, tiny_config
from train.checkpointing.digests import params_sha256
from train.experiment.experiment import make_experiment, open_split
from train.experiment.run import create_train_state, open_run
from train.loop import hooks
from train.loop.control import StepControl, with_flags
from train.loop.loop import train
from train.loop.metric_writer import read_metrics
from train.loop.preemption import PreemptionHandler
from train.step.parallel import Jit, Pmap, backend
from train.step.step import make_step
from train.step.update_guard import TrainingDiverged

pytestmark = pytest.mark.filterwarnings("ignore:.*donated buffers.*")


@pytest.mark.parametrize("backend_of", [Pmap, Jit])
def test_the_step_is_compiled_once(backend_of):
  """Steps after the first compile nothing; a batch of another shape is refused."""
  config = tiny_config()
  experiment = make_experiment(config)
  state, tx, schedule = create_train_state(experiment, config)
  parallel = backend_of()
  step = make_step(experiment.model, experiment.preprocess, tx, schedule, parallel, normalize="image", seed=0)
  chex.clear_trace_counter()
  compiled = parallel.compile_step(chex.assert_max_traces(step, n=1))
  batch = {"image": np.zeros((8, 32, 48, 3), np.uint8), "label": np.full((8, 32, 48), 255, np.uint8)}
  before = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
  state = parallel.place_state(state)
  for _ in range(3):
    state, metrics = compiled(state, parallel.place_batch(batch))
  chex.assert_trees_all_equal_shapes_and_dtypes(state, before)
  chex.assert_tree_all_finite((state, metrics))
  chex.assert_rank(jax.tree.leaves(metrics), 0)
  assert float(metrics["loss"]) == 0, "a batch of ignored pixels has no loss"
  assert float(metrics["gradient_norm"]) == 0
  smaller = {name: x[:, :, :32] for name, x in batch.items()}
  with pytest.raises(TypeError, match=r"compiled again: a batch of .*48.* became .*32, 32"):
    compiled(state, parallel.place_batch(smaller))


@pytest.mark.parametrize(
  ("images", "labels", "message"),
  [
    ((8, 32, 48, 3), (8, 32, 40), r"\(8, 32, 40\).*label: expected \[N, H, W\] of the images"),
    ((8, 32, 48, 3), (8, 32, 48, 1), r"\(8, 32, 48, 1\).*label: expected \[N, H, W\] of the images"),
    ((8, 32, 48, 1), (8, 32, 48), r"\(8, 32, 48, 1\).*image: expected \[N, H, W, 3\]"),
  ],
)
def test_a_batch_of_other_shapes_is_refused(images, labels, message):
  """At trace time; labels of shape [N, H, W, 1], for example, would be broadcast."""
  config = tiny_config()
  experiment = make_experiment(config)
  state, tx, schedule = create_train_state(experiment, config)
  step = make_step(experiment.model, experiment.preprocess, tx, schedule, Jit(), normalize="pixel", seed=0)
  batch = {"image": np.zeros(images, np.uint8), "label": np.zeros(labels, np.uint8)}
  with pytest.raises(AssertionError, match=message):
    jax.eval_shape(step, state, batch)


def test_a_state_of_other_dtypes_is_refused():
  """A state whose dtypes change in a step would compile the step twice."""
  config = tiny_config()
  experiment = make_experiment(config)
  state, tx, schedule = create_train_state(experiment, config)
  step = make_step(experiment.model, experiment.preprocess, tx, schedule, Jit(), normalize="pixel", seed=0)
  batch = {"image": np.zeros((8, 32, 48, 3), np.uint8), "label": np.zeros((8, 32, 48), np.uint8)}
  state = state.replace(opt_state=jax.tree.map(lambda x: x.astype(jnp.bfloat16), state.opt_state))
  with pytest.raises(AssertionError, match="bfloat16 != "):
    jax.eval_shape(step, state, batch)


def test_loss_normalizations_differ_by_the_pixels_of_an_image():
  config = tiny_config(batch_size=8)
  experiment = make_experiment(config)
  parallel = Pmap()
  labels = np.zeros((8, 32, 48), np.uint8)
  labels[3:] = 255
  batch = parallel.place_batch({"image": np.zeros((8, 32, 48, 3), np.uint8), "label": labels})
  losses = []
  for normalize in ("pixel", "image"):
    state, tx, schedule = create_train_state(experiment, config)
    step = make_step(
      experiment.model, experiment.preprocess, tx, schedule, parallel, normalize=normalize, seed=0
    )
    losses.append(float(parallel.compile_step(step)(parallel.place_state(state), batch)[1]["loss"]))
  np.testing.assert_allclose(losses[1] / losses[0], 3 * 32 * 48 / 8, rtol=1e-5)
  with pytest.raises(ValueError, match=r"loss.normalize: expected one of pixel, image, got 'sum'"):
    make_step(None, None, None, None, parallel, normalize="sum", seed=0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """A finished run with an evaluation before the end."""
  workdir = tmp_path_factory.mktemp("finished") / "run"
  config = tiny_config("runlocal,pool=ppool", eval__every=3)
  return workdir, config, train(config, workdir)


def test_files_of_a_finished_run(finished):
  workdir, config, summary = finished
  stored = json.loads((workdir / "summary.json").read_text())
  expected = {"step", "miou", "pixel_accuracy", "per_class_iou", "params_sha256", "seconds", "config"}
  assert expected <= stored.keys()
  assert stored["params_sha256"] == summary["params_sha256"]
  assert stored["config"]["seed"] == config.seed
  run = open_run(workdir)
  assert run.step == config.steps
  assert params_sha256(run.variables["params"]) == summary["params_sha256"]
  assert list((workdir / "tensorboard").iterdir())
  lines = read_metrics(workdir)
  assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]
  assert [line["step"] for line in lines if "eval/miou" in line] == [3, 6]
  keys = ("alpha/pool1/mean", "alpha/pool2/low", "images_per_second", "waiting", "learning_rate")
  chex.assert_tree_all_finite({key: lines[0][key] for key in keys})
  np.testing.assert_allclose(lines[0]["alpha/pool1/mean"], 20, rtol=1e-3)


def test_a_resumed_run_ends_with_the_same_bits(finished, tmp_path):
  _, config, summary = finished
  first = tiny_config("runlocal,pool=ppool", eval__every=3, steps=4, schedule__steps=6)
  assert train(first, tmp_path)["step"] == 4
  (tmp_path / "summary.json").unlink()
  (tmp_path / "config.json").unlink()
  again = train(config, tmp_path)
  assert again["params_sha256"] == summary["params_sha256"]
  assert again["miou"] == summary["miou"]


def test_the_seed_alone_determines_the_initial_head(finished):
  _, config, _ = finished
  heads = [
    create_train_state(make_experiment(c), c)[0].params["head"]["classifier"]["kernel"]
    for c in (config, tiny_config("runlocal,pool=max"), tiny_config("runlocal,seed=1"))
  ]
  chex.assert_trees_all_equal(heads[0], heads[1], strict=True)
  assert not np.array_equal(heads[0], heads[2])


def test_a_workdir_of_another_config_is_refused(finished):
  workdir, config, _ = finished
  other = tiny_config("runlocal,pool=avg", eval__every=3)
  with pytest.raises(ValueError, match=r"another config \(.*\bpool was 'ppool', now 'avg'"):
    train(other, workdir)
  assert (workdir / "summary.json").is_file()
  assert config.pool == "ppool"


def test_divergence_names_the_step_and_keeps_the_checkpoint(tmp_path):
  config = tiny_config(steps=40, schedule__learning_rate=1e12, schedule__warmup=0, checkpoint__every=1)
  for group in config.optimizer.groups.values():
    group.optimizer = "sgd"
  says = r"step \d+: (loss|gradient_norm) is (nan|inf); first non-finite"
  with pytest.raises(TrainingDiverged, match=says):
    train(config, tmp_path)
  run = open_run(tmp_path)
  assert run.step >= 1
  assert not (tmp_path / "summary.json").exists()


def test_bad_config_values_are_refused():
  with pytest.raises(ValueError, match="batch_size: expected a positive multiple of the 8 devices, got 12"):
    backend("pmap", 12)
  with pytest.raises(ValueError, match="parallel: expected one of pmap, jit, got 'xmap'"):
    backend("xmap", 8)
  with pytest.raises(ValueError, match="dtype: expected one of float32, bfloat16, got 'float16'"):
    make_experiment(tiny_config(dtype="float16"))
  with pytest.raises(ValueError, match=r"expected the split train or val, got 'tset'"):
    open_split(tiny_config(), "tset")


def test_bfloat16_computes_near_float32():
  losses = [
    TinyTraining(tiny_config("runlocal,pool=ppool", dtype=dtype)).after(Pmap, 3)
    for dtype in ("float32", "bfloat16")
  ]
  chex.assert_trees_all_equal_shapes_and_dtypes(losses[1], losses[0])
  chex.assert_type(jax.tree.leaves(losses[1][0]), np.float32)
  np.testing.assert_allclose(losses[1][1]["loss"], losses[0][1]["loss"], rtol=0.05)


def test_hooks_are_called_in_their_written_order(monkeypatch, tmp_path):
  """The guard checks a state before it is saved, and it is saved before it is evaluated."""
  calls = []
  for hook in hooks.HOOKS:

    def record(self, step, state, hook=hook, after_step=hook.after_step):
      calls.append((step, hook.__name__))
      return after_step(self, step, state)

    monkeypatch.setattr(hook, "after_step", record)
  train(tiny_config("runlocal", steps=2), tmp_path)
  names = ["DivergenceHandler", "CheckpointHook", "EvaluationHook"]
  assert calls == [(step, name) for step in (1, 2) for name in names]


def test_control_flags_are_summed_over_devices():
  parallel = Pmap()
  control = StepControl(PreemptionHandler(), save_seconds=0.0)
  step = parallel.compile_step(with_flags(lambda state, batch: (state, {}), parallel), inputs=2)
  batch = parallel.place_batch({"image": np.zeros((8, 1))})
  state = parallel.place_state(jnp.zeros(()))
  for device in (0, 7):
    flags = control.flags(8)
    assert not flags.any()
    flags[device, 1] = 1
    state, _, sums = step(state, batch, parallel.place_batch(flags))
    control.update(jax.device_get(sums))
    assert (control.should_stop, control.should_save, control.log_failed) == (False, True, False)
    control.reset_save_timer()
    assert not control.should_save
