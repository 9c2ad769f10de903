"""The HTML report of several runs."""

import json
import re
import shutil

import numpy as np
import pytest

from tests.helpers.serving import load_image
from train.reporting.report import write_report


def test_the_report_is_self_contained(pool_runs, tmp_path, capsys):
  folder = tmp_path / "pictures"
  write_report(
    [pool_runs / "max", pool_runs / "ppool"], tmp_path / "report.html", examples=2, pictures=folder
  )
  text = (tmp_path / "report.html").read_text()
  assert text.count("data:image/png;base64,") == 1 + 1 + 1 + 2
  assert np.asarray(load_image(folder / "predictions.png")).shape == (2 * 36, 4 * 52 - 4, 3)
  assert np.asarray(load_image(folder / "curves.png")).std() > 5
  assert not re.search(r'(src|href)="(?!data:)', text)
  summary = json.loads((pool_runs / "ppool" / "summary.json").read_text())
  assert f"{100 * summary['miou']:.1f}" in text
  assert "thin-class IoU" in capsys.readouterr().out
  with pytest.raises(FileNotFoundError, match="not a finished run"):
    write_report([tmp_path], tmp_path / "x.html")


def test_runs_of_a_sweep_are_named_by_their_folders(pool_runs, tmp_path, capsys):
  """All workdirs are called seed-0; the same workdir twice is refused."""
  swept = []
  for pool in ("max", "ppool"):
    swept.append(tmp_path / "runs" / pool / "seed-0")
    shutil.copytree(pool_runs / pool, swept[-1])
  write_report(swept, tmp_path / "report.html", examples=1)
  text = (tmp_path / "report.html").read_text()
  for name, pool in (("max/seed-0", "max"), ("ppool/seed-0", "ppool")):
    miou = json.loads((pool_runs / pool / "summary.json").read_text())["miou"]
    assert re.search(rf"{name}</t[dh]>\s*<t[dh][^>]*>{100 * miou:.1f}<", text)
  assert "image | truth | max/seed-0 | ppool/seed-0" in text
  assert "ppool/seed-0" in capsys.readouterr().out
  with pytest.raises(ValueError, match="expected each workdir once, got "):
    write_report([swept[0], swept[0]], tmp_path / "twice.html")
