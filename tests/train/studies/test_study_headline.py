"""Headline and table cells of a study's report."""

from scipy import stats

from tests.helpers.study_reports import MAX, PPOOL, VARIANTS, cells, finished, random_results
from train.studies.estimates import Difference, Estimate
from train.studies.headline import headline
from train.studies.markup import Table, escape_latex, to_latex, to_markdown
from train.studies.result import VariantInfo
from train.studies.summary_rows import summarize
from train.studies.tables import format_difference, format_mean, format_p, main_table


def sentences(variants, results):
  return " ".join(headline(variants, results, summarize(variants, results)))


def test_cells():
  """Cells have typographic minus signs, and values that round to zero have no sign."""
  minus, dash = "\N{MINUS SIGN}", "\N{EN DASH}"
  assert format_mean(Estimate(2, 53.26, -0.04, 54.0)) == "53.3 [0.0, 54.0]"
  assert format_mean(Estimate(1, 53.26)) == f"53.3 [{dash}]"
  assert format_mean(Estimate(0)) == dash
  gain = Difference(Estimate(3, -0.001, -1.2, 0.004), 1, 50.0, 0.9)
  assert format_difference(gain) == f"+0.00 [{minus}1.20, +0.00]"
  assert [format_p(p) for p in (None, 0.0009, 0.0101, 1.0)] == [dash, "< 0.001", "0.010", "1.000"]


def test_report_without_baselines():
  """Reports of a variant without common seeds, and of a study without a baseline."""
  results = [finished("max", 0, [0.5, 0.2, 0.3, None]), finished("ppool", 1, [0.7, 0.2, 0.3, None])]
  assert sentences(VARIANTS[:2], results) == (
    "No seed has finished for both a variant and its baseline yet; the highest mean mIoU is that of ppool:"
    " 40.0 [\N{EN DASH}] % (1 seed)."
  )
  alone = sentences(VARIANTS[:1], results[:1])
  assert alone == "The highest mean mIoU is that of max: 33.3 [\N{EN DASH}] % (1 seed)."
  table = main_table(VARIANTS[:1], results[:1], summarize(VARIANTS[:1], results[:1]))
  assert table.header == ["variant", "title", "runs", "mIoU %", "thin-class IoU %"]


def test_no_winner():
  """No difference exceeds its interval; then one does, but not after correction for three variants."""

  def runs(variant, points):
    return [finished(variant, s, [0.5 + p / 100, 0.2, 0.3, None]) for s, p in enumerate(points)]

  variants = (MAX, *(VariantInfo(name, name, "max") for name in ("a", "b", "c")))
  others = [*runs("max", [0, 1, 2]), *runs("a", [1, 0, 2.1]), *runs("c", [0, 2, 1])]
  found = sentences(variants, [*others, *runs("b", [1, 0, 2.4])])
  assert found.startswith(
    "No variant is above max beyond its confidence interval; the best is b with +0.04 ["
  )
  found = sentences(variants, [*others, *runs("b", [1, 2.5, 3.8])])
  p = stats.ttest_rel([1, 2.5, 3.8], [0, 1, 2]).pvalue
  assert p < 0.05 < 3 * p
  assert found.startswith(
    "No variant is above max after Holm's correction (p < 0.05), though the uncorrected 95 % interval"
    " of b excludes 0;"
    " the best is b with +0.48 ["
  )
  assert found.endswith(f"(3 seeds, p = {3 * p:.3f} after Holm).")


def test_several_baselines():
  variants = (MAX, PPOOL, VariantInfo("max8", "max, stride 8"), VariantInfo("ppool8", "P, stride 8", "max8"))
  results = random_results(variants, 4, {"ppool": 0.03, "max8": 0.1, "ppool8": 0.16})
  found = sentences(variants, results)
  assert found.startswith("ppool8 is above max8 by +")
  assert "Also above its baseline: ppool +" in found
  table = to_markdown(main_table(variants, results, summarize(variants, results)))
  assert [cells(table, v.name)[3] for v in variants] == ["\N{EN DASH}", "max", "\N{EN DASH}", "max8"]


def test_special_characters_are_escaped():
  assert escape_latex("a\\b~c^d#e<f>**g_h**") == (
    r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d\#e$<$f$>$\textbf{g\_h}"
  )
  table = Table(["a", "b", "c"], [["1", "x|y", "3"]])
  assert to_markdown(table).splitlines()[2] == "| 1 | x&#124;y | 3 |"
  assert table.drop_columns({"b"}) == Table(["a", "c"], [["1", "3"]])
  assert r"\caption{5 \%}" in to_latex(table, "5 %")
