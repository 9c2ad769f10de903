"""Report of a study: text and files, for complete and incomplete studies."""

import csv
import re

import chex
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from tests.helpers.study_reports import (
  CLASSES,
  MAX,
  PPOOL,
  THIN,
  VARIANTS,
  cells,
  diverged,
  finished,
  random_results,
)
from train.studies.report import write_report


def report(out, results, variants=VARIANTS, planned=None):
  write_report("pools", "Poolings", variants, results, planned or len(results), out, THIN)
  return (out / "report.md").read_text()


def rows_of(path):
  return list(csv.DictReader(path.read_text().splitlines()))


def paragraph(text, place):
  return text.split("\n\n")[place]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
  """(folder, results, report.md); P-pooling gains, All-C diverges with one seed, one run is missing."""
  results = random_results(VARIANTS, 6, {"ppool": 0.03, "all_conv": -0.03})
  results = [r for r in results if (r.variant, r.seed) not in (("all_conv", 2), ("max", 5))]
  results.append(diverged("all_conv", 2, 312))
  out = tmp_path_factory.mktemp("study")
  return out, results, report(out, results, planned=18)


def values(results, variant, metric):
  return {r.seed: 100 * r.scores[metric] for r in results if r.variant == variant and r.status == "finished"}


def paired(results, variant, metric):
  """Arrays of the baseline and the variant over common seeds."""
  before, after = (values(results, name, metric) for name in ("max", variant))
  common = sorted(set(before) & set(after))
  return [before[s] for s in common], [after[s] for s in common]


@pytest.mark.parametrize("metric", ["miou", "thin_iou", "boundary_iou", "pixel_accuracy"])
def test_estimates_equal_scipys(study, metric):
  out, results, _ = study
  rows = {r["variant"]: r for r in rows_of(out / "report.csv") if r["metric"] == metric}
  for variant, seeds, pairs in (("ppool", 6, 5), ("all_conv", 5, 4)):
    row, own = rows[variant], list(values(results, variant, metric).values())
    interval = stats.t.interval(0.95, seeds - 1, np.mean(own), stats.sem(own))
    before, after = paired(results, variant, metric)
    test = stats.ttest_rel(after, before)
    difference = np.subtract(after, before).mean()
    expected = (seeds, np.mean(own), *interval, pairs, difference, *test.confidence_interval(), test.pvalue)
    names = (
      "seeds",
      "mean",
      "ci_low",
      "ci_high",
      "pairs",
      "difference",
      "difference_low",
      "difference_high",
      "p",
    )
    chex.assert_trees_all_close(tuple(float(row[name]) for name in names), expected, rtol=1e-9)
    assert row["baseline"] == "max"
  assert rows["max"]["difference"] == rows["max"]["baseline"] == rows["max"]["p_holm"] == ""
  p = sorted(float(rows[name]["p"]) for name in ("ppool", "all_conv"))
  holm = sorted(float(rows[name]["p_holm"]) for name in ("ppool", "all_conv"))
  assert holm == pytest.approx([min(1, 2 * p[0]), max(min(1, 2 * p[0]), p[1])])


def test_headline_names_the_best_variants(study):
  _, results, text = study
  first = paragraph(text, 1)
  before, after = paired(results, "ppool", "miou")
  assert first.startswith(f"ppool is above max by +{np.subtract(after, before).mean():.2f} [+")
  assert re.search(r"points of mIoU \(5 seeds, p (= 0\.\d{3}|< 0\.001) after Holm\)\.", first)
  assert "Below max: all_conv \N{MINUS SIGN}" in first


def test_main_table_and_notes(study):
  _, _, text = study
  lines = paragraph(text, 2).splitlines()
  assert [line.split(" | ")[0] for line in lines[2:]] == [
    "| max",
    "| ppool",
    "| all_conv",
  ]
  assert cells(text, "all_conv")[2] == "5; 1 diverged, step 312"
  assert cells(text, "ppool")[2] == "6"
  assert re.fullmatch(r"\*\*\+\d\.\d\d \[\+\d\.\d\d, \+\d\.\d\d\]\*\*", cells(text, "ppool")[4])
  assert cells(text, "ppool")[6] == "5 of 5"
  assert cells(text, "all_conv")[6] == "0 of 4"
  assert "- Incomplete: 17 of 18 runs are done." in text
  assert (
    "- all_conv diverged with seed 2 (step 312); these runs are excluded from means and differences." in text
  )
  assert "- all_conv is not compared with max on seed 2, where a run diverged." in text
  assert "ppool is not compared" not in text
  assert "trimap mIoU (4 px) %" in text


def test_class_table(study):
  _, _, text = study
  table = text.split("## IoU of each class, per cent\n\n")[1]
  assert table.splitlines()[0] == "| class | max | ppool | all_conv |"
  names = [line.split(" | ")[0] for line in table.split("\n\n")[0].splitlines()[2:]]
  assert names == ["| Road", "| Pole (thin)", "| Sign_A (thin)", "| Sky"]
  dash = "\N{EN DASH}"
  assert cells(table, "Sky")[1:] == [dash] * 3
  assert re.match(r"\d\d\.\d<br>\*{0,2}\+\d\.\d\d \[", cells(table, "Road")[2])


def test_runs_csv_has_every_run_and_score(study):
  out, results, _ = study
  rows = rows_of(out / "runs.csv")
  assert [(r["variant"], int(r["seed"])) for r in rows] == [
    (v.name, seed) for v in VARIANTS for seed in range(6) if (v.name, seed) != ("max", 5)
  ]
  for row in rows:
    result = next(r for r in results if (r.variant, str(r.seed)) == (row["variant"], row["seed"]))
    assert (row["status"], int(row["step"]), float(row["seconds"])) == (
      result.status,
      result.step,
      result.seconds,
    )
    if result.status == "diverged":
      assert row["miou"] == row["per_class_iou.Road"] == ""
    else:
      assert float(row["miou"]) == result.scores["miou"]
      assert float(row["trimap_miou.16"]) == result.scores["trimap_miou"]["16"]
      assert [row[f"per_class_iou.{name}"] for name in CLASSES] == [
        "" if value is None else str(value) for value in result.scores["per_class_iou"].values()
      ]


def test_latex_is_escaped_and_balanced(study):
  out, _, _ = study
  text = (out / "report.tex").read_text()
  assert r"P-pooling, $\alpha$ \& 5 \%\_\{x\} & 6 & " in text
  assert r"\textbf{+" in text
  plain = re.sub(r"\\[{}&%_\\]", "", text)
  depth = 0
  for character in plain:
    depth += (character == "{") - (character == "}")
    assert depth >= 0
  assert depth == 0
  assert plain.count("$") % 2 == 0
  assert not re.search(r"[^\x00-\x7f]|(?<!\\)[%_#]", text)
  columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1])
  body = [line for line in text.splitlines() if line.endswith(r"\\")]
  assert len(body) == 4
  assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {columns - 1}


def test_files(study):
  out, _, _ = study
  pictures = {
    f"{stem}.{kind}" for stem in ("report", "figure5-ppool", "figure5-all_conv") for kind in ("png", "pdf")
  }
  assert {path.name for path in out.iterdir()} == {
    "report.md",
    "report.csv",
    "report.tex",
    "runs.csv",
    *pictures,
  }
  for name in pictures:
    if name.endswith("png"):
      with Image.open(out / name) as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_no_runs(tmp_path):
  text = report(tmp_path, [], planned=18)
  assert paragraph(text, 1) == "No run has finished yet."
  assert cells(text, "ppool")[1:] == [PPOOL.title, "0"]
  assert "0 of 18 runs are done" in text
  assert rows_of(tmp_path / "report.csv") == rows_of(tmp_path / "runs.csv") == []
  assert not list(tmp_path.glob("figure5*"))


def test_all_diverged(tmp_path):
  text = report(tmp_path, [diverged("max", 0, 7), diverged("ppool", 0, 9), diverged("ppool", 3, 8)])
  assert paragraph(text, 1) == "No run has finished yet; 3 runs so far diverged."
  assert cells(text, "max")[2] == "diverged, step 7"
  assert cells(text, "ppool")[2] == "0; 2 diverged, steps 8, 9"
  assert "- ppool is not compared with max on seeds 0, 3, where a run diverged." in text


def test_one_seed(tmp_path):
  results = [finished("max", 0, [0.5, 0.2, 0.3, None]), finished("ppool", 0, [0.5, 0.2, 0.36, None])]
  text = report(tmp_path, [*results, diverged("all_conv", 0, 4)])
  assert paragraph(text, 1) == (
    "With one seed each, no difference can be told from chance; the best is ppool with +2.00 [\N{EN DASH}]"
    " points of mIoU (1 seed). all_conv diverged in its only run."
  )
  assert cells(text, "ppool")[3:7] == ["35.3 [\N{EN DASH}]", "+2.00 [\N{EN DASH}]", "\N{EN DASH}", "1 of 1"]


def test_never_nan(tmp_path):
  results = [finished(v.name, s, [0.5, 0.2, 0.3, None]) for v in VARIANTS for s in range(3)]
  text = report(tmp_path, results)
  files = [text, *((tmp_path / name).read_text() for name in ("report.csv", "runs.csv", "report.tex"))]
  assert not any(re.search(r"\b(nan|none|inf)\b", content, re.IGNORECASE) for content in map(_data, files))
  assert cells(text, "ppool")[4:7] == ["+0.00 [+0.00, +0.00]", "\N{EN DASH}", "0 of 3"]


def _data(text):
  return text.split("## Notes")[0]


def test_results_of_other_variants_are_noted_and_omitted(tmp_path):
  results = [finished("max", 0, [0.5, 0.2, 0.3, None]), finished("old", 0, [0.9, 0.9, 0.9, None])]
  text = report(tmp_path, results, VARIANTS[:2], planned=4)
  assert "- Not shown: 1 run of variants that the study does not have (old)." in text
  assert "1 of 4 runs are done" in text
  assert len(rows_of(tmp_path / "runs.csv")) == 1


def test_old_figures_are_deleted_and_failures_change_nothing(tmp_path, monkeypatch):
  results = random_results(VARIANTS[:2], 2, {})
  report(tmp_path, results, VARIANTS[:2])
  assert (tmp_path / "figure5-ppool.png").is_file()
  before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

  def fail(*_):
    raise OSError("disk full")

  with monkeypatch.context() as patch:
    patch.setattr("train.studies.report.write_figure", fail)
    with pytest.raises(OSError, match="disk full"):
      report(tmp_path, results[:2], VARIANTS[:2])
  assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
  report(tmp_path, results[:2], VARIANTS[:2])
  assert not list(tmp_path.glob("figure5*"))


def test_bad_input(tmp_path):
  run = finished("max", 0, [0.5, 0.2, 0.3, None])
  for variants, results, message in (
    ((MAX, MAX), [], "expected each name once, got 'max' 2 times"),
    ((PPOOL,), [], "variant 'ppool': expected a baseline among ppool, got 'max'"),
    ((MAX,), [run, run], "variant 'max', seed 0: expected one, got 2"),
    ((MAX,), [run._replace(status="lost")], "expected the status finished or diverged, got 'lost'"),
  ):
    with pytest.raises(ValueError, match=message):
      report(tmp_path / "none", results, variants)
  assert not (tmp_path / "none").exists()
