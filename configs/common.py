"""Defines every config field with its default and its meaning, and the arguments that configs share."""

from __future__ import annotations

import ml_collections

from ppool_jax.layers.spec import parse_spec


def default_config() -> ml_collections.ConfigDict:
  """The defaults of all fields."""
  config = ml_collections.ConfigDict()
  config.seed = 0  # of initial parameters, data order, augmentation and dropout
  config.steps = 1000
  config.batch_size = 16  # summed over all devices of all processes
  config.parallel = "pmap"  # or "jit"
  config.dtype = "float32"  # dtype of the computation; or "bfloat16"
  config.grad_accum_steps = 1  # microbatches that a device's share of the batch is split into
  # Cluster environment: a name of train.distributed.initialize.CLUSTERS, or "HOST:PORT,COUNT,INDEX".
  config.cluster = "auto"
  config.cluster_timeout = 300  # seconds to wait for all processes to connect
  config.compilation_cache = ".jax_cache"  # folder of the compilation cache unless JAX has one; "": none
  config.deterministic = False  # on a GPU: bitwise reproducible runs, which are slower

  config.pool = "max"  # a name of ppool_jax.POOLS, "module:Class", or "published": the network's pools
  config.pool_kwargs = ml_collections.ConfigDict({})  # keyword arguments of the pool
  config.pool_stages = ()  # stages with `pool`, such as ("pool3", "pool4:gated(per=channel)"); (): all
  config.pool_rest = "max"  # pool of the other stages if `pool_stages` has entries
  # P-pooling's alpha source: a name of ppool_jax.ALPHAS or "module:Class", and its keyword arguments. `range`
  # is a name of ppool_jax.RANGES, whose keyword arguments (cap) are set here, too.
  config.alpha = ml_collections.ConfigDict({"name": "side_branch"})
  config.model = ml_collections.ConfigDict(
    {
      "name": "vgg16",  # a name of ppool_jax.models.NETWORKS
      "head": "",  # a name of ppool_jax.models.HEADS; "": the network's default head
      "weights": "",  # a pretrained weights file for ppool_jax.weights; "": train from scratch
      "norm": "sync",  # batch norm: "sync" (statistics of the global batch), "local" or "frozen"
      "output_stride": 0,  # 0: the network's default
      "width": 1.0,  # multiplies the channels of every layer
      "options": {},  # further keyword arguments of ppool_jax.models.build, such as multi_grid
    }
  )

  config.data = ml_collections.ConfigDict(
    {
      "name": "scenes",
      "options": {},  # keyword arguments of the data set in train.data.registry
      "split": "train",
      "eval_split": "val",
      "scale": (0.5, 2.0),
      "crop": (96, 128),  # height, width
      "flip": True,
      "photometric": 1.0,  # strength of photometric augmentation; 0: none
      "workers": 0,  # worker processes; 0: load in threads of this process
      "threads": 2,  # threads in each process
      "on_corrupt": "stop",  # at a corrupt training example; or "skip": use the next example, and count it
    }
  )
  config.loss = ml_collections.ConfigDict({"normalize": "pixel"})  # or "image"
  config.schedule = ml_collections.ConfigDict(
    {
      "kind": "poly",  # or "step", "constant"
      "learning_rate": 1e-3,
      "steps": 0,  # last step of "poly"; 0: config.steps
      "power": 0.9,
      "boundaries": (),
      "factor": 0.1,  # multiplies the rate at each boundary of "step"
      "warmup": 0,  # steps of linear warm-up
    }
  )
  config.optimizer = ml_collections.ConfigDict(
    {"momentum": 0.9, "weight_decay": 5e-4, "clip_norm": 0.0, "groups": parameter_groups()}
  )
  config.eval = ml_collections.ConfigDict(
    {
      "every": 0,  # steps between evaluations; 0: only at the end
      "batch_size": 4,  # images of the same size in one batch
      "pad_multiple": 0,  # pads images to multiples of this, to compile fewer sizes; 0: off
      "scales": (1.0,),  # test-time augmentation: probabilities are averaged over these scales
      "flip": False,  # test-time augmentation: also averages over mirrored images
      "window": (0, 0),  # height and width of a sliding window; 0: whole images
      "stride": (0, 0),  # stride of the sliding window
    }
  )
  config.checkpoint = ml_collections.ConfigDict(
    {
      "every": 0,  # steps between checkpoints; 0: by time, before evaluations and at the end
      "seconds": 60.0,  # between checkpoints; 0: none by time
      "max_to_keep": 3,  # latest checkpoints
    }
  )
  config.guard = ml_collections.ConfigDict(
    {
      "action": "stop",  # at a non-finite loss, gradient or update, or a spike; or "skip", "rollback"
      "loss_spike_factor": 0.0,  # a spike is a loss above this times the median; 0: off
      "gradient_spike_factor": 0.0,  # likewise for the gradient norm
      "window": 64,  # steps that the medians are computed over
      "rollback_steps": 100,  # steps that a rollback goes back from the rejected step
      "max_rejected": 10,  # skips and rollbacks before the run stops
    }
  )
  config.log = ml_collections.ConfigDict({"every": 10})  # steps between logged steps
  return config


POOLING_ARGS = {"pool": "max", "alpha": "side_branch", "pool_stages": (), "pool_rest": "max"}
"""The arguments on pooling that every config takes, with their defaults; see `set_pooling`."""


def set_pooling(config: ml_collections.ConfigDict, args: ml_collections.ConfigDict) -> str:
  """Sets the config's pooling fields from the arguments `POOLING_ARGS`.

  Args:
    config: the config to change.
    args: parsed arguments with these keys:
      pool: a name of ppool_jax.POOLS with optional keywords, such as "gated(per=channel)"; "published" for
        the network's own pools; or "module:Class" for a custom pool.
      alpha: P-pooling's alpha source: a name of ppool_jax.ALPHAS with optional keywords, such as
        "side_branch(initial=40,cap=90)"; a number; or "module:Class" for a custom source.
      pool_stages: the stages with the pool, "pool1+pool3", or with pools of their own,
        "pool1:ppool+pool3:avg"; empty: all stages.
      pool_rest: the pool of the other stages if `pool_stages` names some.

  Returns:
    The name of the alpha source.

  Raises:
    ValueError: `pool` has the keyword alpha.
  """
  if "alpha" in parse_spec(args.pool, "pool")[1]:
    raise ValueError(f"config argument pool: expected alpha by the argument alpha=, got {args.pool!r}")
  config.pool, config.pool_stages, config.pool_rest = args.pool, args.pool_stages, args.pool_rest
  config.alpha.name = args.alpha
  return args.alpha.partition("(")[0]


def parameter_groups(alpha: str | None = None, norm: str = "sync") -> ml_collections.ConfigDict:
  """The recipes' parameter groups: biases at twice the rate without decay, the head at ten times the rate.

  Args:
    alpha: name of the alpha source. The paper's side branch is trained at three times the base rate. The
      source of the authors' code has the base rate and decay for kernels, 100 times the rate for slopes and
      180 times for biases. All other sources, custom ones included, are trained by Adam at ten times the base
      rate, because the gradient of log alpha is around 1e-4 and SGD would not move it.
    norm: `config.model.norm`; "frozen" also freezes the scales and biases of batch norm.
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
