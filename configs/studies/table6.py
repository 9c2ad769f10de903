"""Table 6: compares P-pooling in no stage, in one stage at a time and in all stages of VGG-16 on PASCAL VOC.

  python -m train.study --study=configs/studies/table6.py:weights=FILE --workdir=DIR

Arguments:
  data, network, alpha, recipe, weights, dir, runlocal: see configs/paper.py.
"""

from __future__ import annotations

from configs import paper
from ppool_jax import models
from train.studies.definition import Study, Variant
from train.utils.config import parse_arg


def get_study(arg: str | None = None) -> Study:
  """Returns the study; the module's docstring describes the arguments."""
  args = parse_arg(
    arg,
    data="voc",
    network="vgg16",
    alpha="side_branch",
    recipe="paper",
    weights="",
    dir="data",
    runlocal=False,
  )
  common = (
    f"data={args.data},network={args.network},alpha={args.alpha},recipe={args.recipe},weights={args.weights}"
  )
  common += f",dir={args.dir}" + (",runlocal" if args.runlocal else "")

  def variant(name: str, pooling: str, title: str) -> Variant:
    return Variant(name, paper.get_config(f"{common},{pooling}"), title=title)

  stages = [slot.name for slot in models.build(args.network, 2).backbone.pool_slots]
  variants = [variant("none", "pool=published", "published poolings")]
  variants += [
    variant(stage, f"pool=ppool,pool_stages={stage},pool_rest=published", f"P-pooling in {stage}")
    for stage in stages
  ]
  variants.append(variant("all", "pool=ppool", "P-pooling in all stages"))
  return Study("table6", variants, "none", range(5), "Table 6: P-pooling in one stage at a time")
