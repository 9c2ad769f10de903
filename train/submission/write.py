"""A run's predictions as a benchmark's server takes them: predicted, packed, and checked."""

from __future__ import annotations

import hashlib
import json
import pathlib

import jax
import numpy as np

from train.data.prepared import Part
from train.data.server_formats import FORMATS, Format
from train.evaluation.predictor import INFERENCE_FIELDS, predict_dataset
from train.experiment.experiment import open_split
from train.experiment.run import Run, open_run
from train.submission.archives import drafted, write_tar, write_zip
from train.submission.checks import check
from train.submission.images import Photographs, photographs, survey
from train.submission.png import encode
from train.utils.json_files import write_json


def submit(
  workdir: pathlib.Path,
  submission: str,
  out: pathlib.Path,
  split: str | None = None,
  images: str | None = None,
  step: int | None = None,
) -> pathlib.Path:
  """Predicts every image of a split at its own size and packs what a server takes.

  PNGs lie below `out`, and those that an interrupted call of the same checkpoint finished are kept.
  The archive is there when it is complete and found to be valid.

  Args:
    workdir: of the training.
    submission: a name of `FORMATS`.
    split: of the run's data set; None: test.
    images: a pattern of photographs in its place, whose names are their ids.
    step: the checkpoint; None: the newest.

  Returns:
    The archive.

  Raises:
    FileNotFoundError, ValueError: no run, no such split, other classes than the server's, images that
      cannot be submitted, or an `out` that holds something else.
  """
  form, out, run = FORMATS[submission], pathlib.Path(out), open_run(workdir, step)
  _check_classes(run, form)
  source = Photographs(photographs(images)) if images else open_split(run.config, split or "test")
  sizes = survey(source, form)
  folder = form.folder(run.config)
  pngs = out / (folder or form.name)
  _claim(out, pngs, {"submission": submission, "images": sizes, **_origin(run)})
  _predict(run, source, list(sizes), pngs, form)
  names = sorted(f"{image}{form.ending}" for image in sizes)
  members = [(f"{folder}/{name}" if folder else name, pngs / name) for name in names]
  archive = out / form.archive
  with drafted(archive) as draft:
    (write_zip if archive.suffix == ".zip" else write_tar)(draft, members)
    check(draft, form, sizes).refuse(f"{archive}: not written")
  print(f"{archive}: {len(sizes)} predictions, as {submission}'s server takes them")
  return archive


def _check_classes(run: Run, form: Format) -> None:
  own, wanted = ([(row.name, row.raw_id) for row in t.classes] for t in (run.experiment.table, form.table))
  if own != wanted:
    raise ValueError(
      f"--submission {form.name}: expected a run that predicts its {len(wanted)} classes, "
      f"got one of {run.config.data.name}, which has {len(own)}"
    )


def _origin(run: Run) -> dict:
  """What predictions depend on, beside the images."""
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(run.variables):
    digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
  ways = {name: run.config.eval[name] for name in INFERENCE_FIELDS}
  return {"step": run.step, "variables": digest.hexdigest(), "inference": ways}


def _claim(out: pathlib.Path, pngs: pathlib.Path, about: dict) -> None:
  """Leaves submission.json in `out`, or finds that what is there is of the same submission.

  Raises:
    ValueError: it is of another one, or of none.
  """
  mark, about = out / "submission.json", json.loads(json.dumps(about))
  if mark.is_file():
    old = json.loads(mark.read_text())
    if differ := [key for key in about if old.get(key) != about[key]]:
      raise ValueError(f"{out}: holds another submission ({', '.join(differ)} differ); choose another --out")
  elif pngs.is_dir() and any(pngs.iterdir()):
    raise ValueError(f"{pngs}: holds files that no submission left there; choose another --out")
  pngs.mkdir(parents=True, exist_ok=True)
  write_json(mark, about)


def _predict(run: Run, source, images: list[str], pngs: pathlib.Path, form: Format) -> None:
  """Writes the PNGs that are not there yet."""
  left = [i for i, image in enumerate(images) if not (pngs / f"{image}{form.ending}").is_file()]
  if len(left) < len(images):
    print(f"{len(images) - len(left)} of {len(images)} predictions are there already", flush=True)
  for example, labels in predict_dataset(run.experiment, run.variables, Part(source, left), run.config):
    name = f"{form.identify(example['id'])}{form.ending}"
    with drafted(pngs / name) as draft:
      draft.write_bytes(encode(form.table.to_raw_ids(labels), form.palette))
