"""Writes a run's predictions as a submission: predicts, packs and validates."""

from __future__ import annotations

import hashlib
import json
import pathlib

import jax
import numpy as np

from ppool_jax.utils.files import atomic_write
from train.data.prepared import SubsetSource
from train.data.submission_formats import SUBMISSION_FORMATS, SubmissionFormat
from train.evaluation.predictor import INFERENCE_FIELDS, predict_dataset
from train.experiment.experiment import open_split
from train.experiment.run import Run, open_run
from train.submission.archives import write_tar_gz, write_zip
from train.submission.checks import check_archive
from train.submission.images import ImageFiles, find_images, read_image_sizes
from train.submission.png import encode
from train.utils.json_files import write_json


def write_submission(
  workdir: pathlib.Path,
  submission: str,
  out: pathlib.Path,
  split: str | None = None,
  images: str | None = None,
  step: int | None = None,
) -> pathlib.Path:
  """Predicts every image of a split at its own size and packs the predictions for the server.

  The PNGs are stored below `out`; those that an interrupted call with the same checkpoint wrote are reused.
  The archive is written only if it is complete and valid.

  Args:
    workdir: of the training.
    submission: a key of `SUBMISSION_FORMATS`.
    split: of the run's data set; None: test.
    images: a pattern of image files to predict instead, named by their ids.
    step: the checkpoint; None: the newest.

  Returns:
    The archive.

  Raises:
    FileNotFoundError, ValueError: the run or split does not exist, the run's classes are not the server's,
      images cannot be submitted, or `out` contains something else.
  """
  form, out, run = SUBMISSION_FORMATS[submission], pathlib.Path(out), open_run(workdir, step)
  _check_classes(run, form)
  source = ImageFiles(find_images(images)) if images else open_split(run.config, split or "test")
  sizes = read_image_sizes(source, form)
  folder = form.choose_folder(run.config)
  pngs = out / (folder or form.name)
  _prepare_output(out, pngs, {"submission": submission, "images": sizes, **_describe_predictions(run)})
  _predict(run, source, list(sizes), pngs, form)
  names = sorted(f"{image}{form.suffix}" for image in sizes)
  archive = out / form.archive
  _pack(archive, [(f"{folder}/{name}" if folder else name, pngs / name) for name in names], form, sizes)
  print(f"{archive}: valid for {submission}'s server, {len(sizes)} predictions")
  return archive


def _check_classes(run: Run, form: SubmissionFormat) -> None:
  tables = (run.experiment.table, form.table)
  classes, expected = ([(row.name, row.raw_id) for row in table.classes] for table in tables)
  if classes != expected:
    raise ValueError(
      f"--submission {form.name}: expected a run that predicts its {len(expected)} classes, "
      f"got one of {run.config.data.name}, which has {len(classes)}"
    )


def _describe_predictions(run: Run) -> dict:
  """What the predictions depend on, besides the images."""
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(run.variables):
    digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
  inference = {name: run.config.eval[name] for name in INFERENCE_FIELDS}
  return {"step": run.step, "variables": digest.hexdigest(), "inference": inference}


def _prepare_output(out: pathlib.Path, pngs: pathlib.Path, description: dict) -> None:
  """Creates the folder of the PNGs, and submission.json, which identifies the submission.

  Raises:
    ValueError: `out` contains another submission, or files of no submission.
  """
  file, description = out / "submission.json", json.loads(json.dumps(description))
  if file.is_file():
    old = json.loads(file.read_text())
    if differing := [key for key in description if old.get(key) != description[key]]:
      raise ValueError(
        f"{out}: contains another submission ({', '.join(differing)} differ); choose another --out"
      )
  elif pngs.is_dir() and any(pngs.iterdir()):
    raise ValueError(f"{pngs}: contains files of no submission; choose another --out")
  pngs.mkdir(parents=True, exist_ok=True)
  write_json(file, description)


def _predict(run: Run, source, images: list[str], pngs: pathlib.Path, form: SubmissionFormat) -> None:
  """Writes the PNGs that do not exist yet."""
  remaining = [i for i, image in enumerate(images) if not (pngs / f"{image}{form.suffix}").is_file()]
  if len(remaining) < len(images):
    print(f"{len(images) - len(remaining)} of {len(images)} predictions exist already", flush=True)
  subset = SubsetSource(source, remaining)
  for example, labels in predict_dataset(run.experiment, run.variables, subset, run.config):
    name = f"{form.identify(example['id'])}{form.suffix}"
    with atomic_write(pngs / name) as file:
      file.write(encode(form.table.to_raw_ids(labels), form.palette))


def _pack(archive: pathlib.Path, members, form: SubmissionFormat, sizes) -> None:
  """Writes the archive if it is valid."""
  with atomic_write(archive) as file:
    (write_zip if archive.suffix == ".zip" else write_tar_gz)(file, members)
    file.flush()
    contents = check_archive(pathlib.Path(file.name), form, sizes)
    contents.problems.raise_if_any(f"{archive}: not written")
