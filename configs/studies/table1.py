"""Table 1: compares seven poolings in VGG-16 and ResNet-50 on PASCAL VOC, Cityscapes and ADE20K.

  python -m train.study --study=configs/studies/table1.py:data=voc,weights_vgg16=FILE --workdir=DIR

Arguments:
  data, network: data sets and networks to include, such as "voc+ade20k"; default: all.
  alpha, recipe, dir, runlocal: see configs/paper.py.
  weights_vgg16, weights_resnet50: weights files for ppool_jax.weights; empty: train from scratch.

The baseline of each network is its own pooling, which the table marks with a star: max pooling in VGG-16,
strided convolutions in ResNet-50. The study has no All-C for ResNet-50, for which the paper gives one number
for both strided poolings.
"""

from __future__ import annotations

from configs import paper
from train.studies.definition import Study, Variant
from train.utils.config import parse_arg

DATA = {"voc": "VOC", "cityscapes": "Cityscapes", "ade20k": "ADE20K"}
NETWORKS = {"vgg16": ("VGG-16", "max"), "resnet50": ("ResNet-50", "strided")}
POOLS = {
  "max": "max pooling",
  "avg": "average pooling",
  "strided": "Strided-C",
  "allconv": "All-C",
  "gated": "gated pooling",
  "dpp": "DPP",
  "ppool": "P-pooling",
}


def get_study(arg: str | None = None) -> Study:
  """Returns the study; the module's docstring describes the arguments."""
  args = parse_arg(
    arg, data=tuple(DATA), network=tuple(NETWORKS), alpha="side_branch", recipe="paper", dir="data",
    weights_vgg16="", weights_resnet50="", runlocal=False,
  )  # fmt: skip
  variants = [
    _make_variant(args, data, network, pool)
    for data in _validate_names("data", args.data, DATA)
    for network in _validate_names("network", args.network, NETWORKS)
    for pool in POOLS
    if (network, pool) != ("resnet50", "allconv")
  ]
  return Study("table1", variants, variants[0].name, range(5), "Table 1: poolings in VGG-16 and ResNet-50")


def _make_variant(args, data: str, network: str, pool: str) -> Variant:
  label, own = NETWORKS[network]
  config = paper.get_config(
    f"data={data},network={network},pool={pool},alpha={args.alpha},recipe={args.recipe},dir={args.dir},"
    f"weights={args[f'weights_{network}']}" + (",runlocal" if args.runlocal else "")
  )
  title = f"{DATA[data]}, {label}, {POOLS[pool]}"
  return Variant(f"{data}-{network}-{pool}", config, baseline=f"{data}-{network}-{own}", title=title)


def _validate_names(key: str, names: tuple[str, ...], table: dict) -> tuple[str, ...]:
  for name in names:
    if name not in table:
      raise ValueError(f"study argument {key}: expected some of {', '.join(table)}, got {name!r}")
  return names
