"""What all configs share: every field there is, with its default and what it means."""

from __future__ import annotations

import ml_collections

from ppool_jax.layers.spec import parse_spec


def base() -> ml_collections.ConfigDict:
  """Defaults of every field."""
  config = ml_collections.ConfigDict()
  config.seed = 0  # of initial parameters, order, augmentation and dropout
  config.steps = 1000
  config.batch_size = 16  # over all devices of all processes
  config.parallel = "pmap"  # or "jit"
  config.dtype = "float32"  # of the computation; or "bfloat16"
  config.grad_accum_steps = 1  # parts of a device's share of the batch, one after another
  # How processes find each other: of train.distributed.initialize.CLUSTERS, or "HOST:PORT,COUNT,INDEX".
  config.cluster = "auto"
  config.cluster_timeout = 300  # seconds for all of them to come
  config.compilation_cache = ".jax_cache"  # folder for compiled programs, unless JAX has one; none: ""
  config.deterministic = False  # on a GPU: the same bits in every run

  config.pool = "max"  # a name of ppool_jax.POOLS, "module:Class", or "published": the network's own poolings
  config.pool_kwargs = ml_collections.ConfigDict({})  # keywords of the pool
  config.pool_stages = ()  # pools to replace, such as ("pool3", "pool4:gated(per=channel)"); none: all
  config.pool_rest = "max"  # the other stages' pool where `pool_stages` has entries, such as "published"
  # Of P-pooling: a name of ppool_jax.ALPHAS or "module:Class", and the source's keywords; `range` is a name
  # of ppool_jax.RANGES, which has keywords of its own (cap).
  config.alpha = ml_collections.ConfigDict({"name": "side_branch"})
  config.model = ml_collections.ConfigDict(
    {
      "name": "vgg16",  # of ppool_jax.models.NETWORKS
      "head": "",  # of ppool_jax.models.HEADS; none: the network's own
      "weights": "",  # a file for ppool_jax.weights; none: from scratch
      "norm": "sync",  # batch norm's statistics: of the global batch; or "local", "frozen"
      "output_stride": 0,  # 0: the network's own
      "width": 1.0,  # multiplies the channels of every layer
      "options": {},  # further ones of ppool_jax.models.build, such as multi_grid
    }
  )

  config.data = ml_collections.ConfigDict(
    {
      "name": "scenes",
      "options": {},  # of train.data.registry.open_*
      "split": "train",
      "eval_split": "val",
      "scale": (0.5, 2.0),
      "crop": (96, 128),  # height, width
      "flip": True,
      "photometric": 1.0,  # strength; 0: none
      "workers": 0,  # processes; 0: load in threads of this one
      "threads": 2,  # in each process
      "on_corrupt": "stop",  # at a damaged training example; or "skip": the next one in its place, counted
    }
  )
  config.loss = ml_collections.ConfigDict({"normalize": "pixel"})  # or "image"
  config.schedule = ml_collections.ConfigDict(
    {
      "kind": "poly",  # or "step", "constant"
      "learning_rate": 1e-3,
      "steps": 0,  # where poly ends; 0: at config.steps
      "power": 0.9,
      "boundaries": (),
      "factor": 0.1,  # of "step"
      "warmup": 0,
    }
  )
  config.optimizer = ml_collections.ConfigDict(
    {"momentum": 0.9, "weight_decay": 5e-4, "clip_norm": 0.0, "groups": parameter_groups()}
  )
  config.eval = ml_collections.ConfigDict(
    {
      "every": 0,
      "batch_size": 4,  # images of one size at once; fewer where a size is rare
      "pad_multiple": 0,  # pad images to multiples of this: fewer sizes to compile, other edges; 0: none
      "scales": (1.0,),  # probabilities are averaged over these
      "flip": False,  # and over mirrored images
      "window": (0, 0),  # height, width of a sliding window; 0: whole images
      "stride": (0, 0),  # of the window
    }
  )
  config.checkpoint = ml_collections.ConfigDict({"every": 0, "seconds": 60.0, "max_to_keep": 3})
  config.guard = ml_collections.ConfigDict(
    {
      "action": "stop",  # on a loss, gradient or update that is not finite, or a spike; or "skip", "rollback"
      "loss_spike_factor": 0.0,  # a loss of more than this times the median is a spike; 0: none is
      "gradient_spike_factor": 0.0,  # likewise of the norm of the gradient
      "window": 64,  # steps that the medians are over
      "rollback_steps": 100,  # steps that a rollback goes back before the one that was held
      "max_rejected": 10,  # skips and rollbacks of a run; one more stops it
    }
  )
  config.log = ml_collections.ConfigDict({"every": 10})
  return config


POOLING = {"pool": "max", "alpha": "side_branch", "pool_stages": (), "pool_rest": "max"}
"""Arguments that every config takes, with their defaults; see `set_pooling`."""


def set_pooling(config: ml_collections.ConfigDict, args: ml_collections.ConfigDict) -> str:
  """Sets the fields of pooling from a config's arguments `POOLING`; returns the name of the alpha source.

  pool: a name of ppool_jax.POOLS with or without keywords, such as "gated(per=channel)"; "published", the
    network's own poolings; or "module:Class", your own.
  alpha: of P-pooling: a name of ppool_jax.ALPHAS, such as "side_branch(initial=40,cap=90)", a number, or
    "module:Class", your own.
  pool_stages: the stages that have the pool, "pool1+pool3", or one of their own, "pool1:ppool+pool3:avg";
    none: all.
  pool_rest: the pool of the other stages, where `pool_stages` names some.
  """
  if "alpha" in parse_spec(args.pool, "pool")[1]:
    raise ValueError(f"config argument pool: expected alpha by the argument alpha=, got {args.pool!r}")
  config.pool, config.pool_stages, config.pool_rest = args.pool, args.pool_stages, args.pool_rest
  config.alpha.name = args.alpha
  return args.alpha.partition("(")[0]


def parameter_groups(alpha: str | None = None, norm: str = "sync") -> ml_collections.ConfigDict:
  """The recipes' groups: biases twice the rate and no decay, the classifier ten times the rate.

  Args:
    alpha: name of the alpha source. The paper's side branch has three times the rate. Of the authors' last
      code the kernels have the base rate and decay, slopes 100 and biases 180 times the rate. All others,
      your own among them, are trained by Adam at 0.01 where the base rate is 0.001: the gradient of log
      alpha is around 1e-4, and SGD does not move it.
    norm: `config.model.norm`; frozen batch norm's scales and biases stay what they are, too.
  """

  def group(pattern: str, lr: float, decay: float, optimizer: str = "sgd") -> dict:
    return {"pattern": pattern, "lr": lr, "decay": decay, "optimizer": optimizer}

  if alpha in (None, "side_branch"):
    branch = {"alpha": group(r".*/alpha/.*", 3.0, 0.0)}
  elif alpha == "authors":
    branch = {
      "alpha": group(r".*/alpha/(depthwise|pointwise)", 1.0, 1.0),
      "alpha_slope": group(r".*/alpha/prelu", 100.0, 0.0),
      "alpha_bias": group(r".*/alpha/bias", 180.0, 0.0),
    }
  else:
    branch = {"alpha": group(r".*/alpha/.*", 10.0, 0.0, "adam")}
  return ml_collections.ConfigDict(
    {
      "kernel": group(r"backbone/[^/]*/kernel", 1.0, 1.0),
      "bias": group(r"backbone/(?![^/]*norm)[^/]*/bias", 2.0, 0.0),
      "norm": group(r"(backbone|head)/[^/]*norm[^/]*/(scale|bias)", 0.0 if norm == "frozen" else 1.0, 0.0),
      "pool": group(r"backbone/pool[^/]*/(?!alpha/|(kernel|bias)$).*", 1.0, 0.0),
      **branch,
      "head_kernel": group(r"head/.*kernel", 10.0, 1.0),
      "head_bias": group(r"head/(?![^/]*norm)[^/]*/bias", 20.0, 0.0),
    }
  )
