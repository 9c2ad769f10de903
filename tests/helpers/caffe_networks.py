"""Caffe networks with random weights: their .caffemodel files and their prototxt."""

import functools
from typing import NamedTuple

import numpy as np

from tests.helpers.caffe_files import blob, field, layer

# Sides for which Caffe's rounding gives the same feature sizes; BN-Inception needs even sides.
SIZES = {"vgg16_20m": (65, 97), "resnet50": (65, 97), "inceptionv2": (96, 64)}


class Layer(NamedTuple):
  """A layer of Caffe; `settings` is prototxt."""

  name: str
  type: str
  bottoms: tuple
  top: str
  settings: str
  blobs: list


class Network:
  """A sequence of layers; each reads the top of the previous layer unless `bottom` is given."""

  def __init__(self, name):
    self.images = np.random.default_rng(1).uniform(-100, 100, (1, *SIZES[name], 3)).astype(np.float32)
    self.layers, self.rng, self.top, self.channels = [], np.random.default_rng(0), "data", {"data": 3}

  def add(self, name, kind, settings="", blobs=(), bottoms=None, channels=None, top=None):
    bottoms = bottoms or (self.top,)
    self.top = top or name
    self.layers.append(Layer(name, kind, bottoms, self.top, settings, list(blobs)))
    self.channels[self.top] = channels or self.channels[bottoms[0]]

  def conv(self, name, channels, size, stride=1, dilation=1, bias=True, bottom=None, pad=None):
    inputs = self.channels[bottom or self.top]
    pad = dilation * (size // 2) if pad is None else pad
    kernel = self.rng.standard_normal((channels, inputs, size, size)) * np.sqrt(2 / (inputs * size * size))
    blobs = [kernel.astype(np.float32)]
    blobs += [self._small(channels)] if bias else []
    settings = (
      f"convolution_param {{ num_output: {channels} kernel_size: {size} stride: {stride} pad: {pad} "
      f"dilation: {dilation} bias_term: {str(bias).lower()} }}"
    )
    self.add(name, "Convolution", settings, blobs, bottom and (bottom,), channels)

  def norm(self, batch_norm, scale):
    """Adds a BatchNorm and a Scale layer, in place, with sums over 3 batches."""
    count = self.channels[self.top]
    mean, variance = self._small(count), self._positive(count)
    self.add(batch_norm, "BatchNorm", "batch_norm_param { use_global_stats: true eps: 1e-5 }",
             [3 * mean, 3 * variance, np.full(1, 3, np.float32)], top=self.top)  # fmt: skip
    self.add(scale, "Scale", "scale_param { bias_term: true }", [self._positive(count), self._small(count)],
             top=self.top)  # fmt: skip

  def relu(self, name):
    self.add(name, "ReLU", top=self.top)

  def pool(self, name, kind, size, stride, pad=0, bottom=None):
    settings = f"pooling_param {{ pool: {kind} kernel_size: {size} stride: {stride} pad: {pad} }}"
    self.add(name, "Pooling", settings, bottoms=bottom and (bottom,))

  def _small(self, count):
    return (0.1 * self.rng.standard_normal(count)).astype(np.float32)

  def _positive(self, count):
    return self.rng.uniform(0.5, 1.5, count).astype(np.float32)

  def prototxt(self):
    dims = " ".join(f"dim: {n}" for n in (1, 3, *self.images.shape[1:3]))
    lines = [f'name: "net" input: "data" input_shape {{ {dims} }}']
    for each in self.layers:
      bottoms = " ".join(f'bottom: "{bottom}"' for bottom in each.bottoms)
      lines.append(
        f'layer {{ name: "{each.name}" type: "{each.type}" {bottoms} top: "{each.top}" {each.settings} }}'
      )
    return "\n".join(lines)

  def caffemodel(self):
    layers = (layer(e.name, e.type, " ".join(e.bottoms), e.top, *map(blob, e.blobs)) for e in self.layers)
    return field(1, "net") + b"".join(layers)


def largefov():
  """VGG16-20M, the backbone of DeepLab-LargeFOV, at output stride 8 as published."""
  net = Network("vgg16_20m")
  for stage, (channels, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
    for number in range(1, depth + 1):
      net.conv(f"conv{stage}_{number}", channels, 3, dilation=2 if stage == 5 else 1)
      net.relu(f"relu{stage}_{number}")
    net.pool(f"pool{stage}", "MAX", 3, 2 if stage < 4 else 1, 1)
  net.pool("pool5a", "AVE", 3, 1, 1)
  net.conv("fc6", 1024, 3, dilation=12)
  net.relu("relu6")
  net.conv("fc7", 1024, 1)
  net.relu("relu7")
  net.conv("fc8_voc12", 21, 1)
  features = {f"pool{s}": f"pool{s}" for s in (1, 2, 3, 4, 5, "5a")} | {"fc6": "fc6", "fc7": "fc7"}
  return net, features


def resnet50():
  """He's ResNet-50, v1: conv1 has a bias; BatchNorm and Scale follow every convolution."""
  net, features = Network("resnet50"), {"conv1": "conv1", "pool1": "pool1"}
  net.conv("conv1", 64, 7, stride=2)
  net.norm("bn_conv1", "scale_conv1")
  net.relu("conv1_relu")
  net.pool("pool1", "MAX", 3, 2, 1)
  for stage, depth in enumerate((3, 4, 6, 3), 2):
    for block in "abcdef"[:depth]:
      _bottleneck(net, f"{stage}{block}", 64 * 2 ** (stage - 2), 2 if block == "a" and stage > 2 else 1)
    features[f"res{stage}"] = net.top
  return net, features


def _bottleneck(net, name, channels, stride):
  source = shortcut = net.top

  def unit(number, *args, **options):
    net.conv(f"res{name}_branch{number}", *args, bias=False, **options)
    net.norm(f"bn{name}_branch{number}", f"scale{name}_branch{number}")

  if name.endswith("a"):
    unit("1", 4 * channels, 1, stride=stride)
    shortcut = net.top
  unit("2a", channels, 1, stride=stride, bottom=source)
  net.relu(f"res{name}_branch2a_relu")
  unit("2b", channels, 3)
  net.relu(f"res{name}_branch2b_relu")
  unit("2c", 4 * channels, 1)
  net.add(f"res{name}", "Eltwise", "eltwise_param { operation: SUM }", bottoms=(shortcut, net.top))
  net.relu(f"res{name}_relu")


def inceptionv2():
  """BN-Inception: convolutions with biases, each followed by BatchNorm and Scale."""
  net, features = Network("inceptionv2"), {"conv1_7x7_s2": "conv1/7x7_s2", "conv2_3x3": "conv2/3x3"}
  unit = functools.partial(_unit, net)
  unit("conv1/7x7_s2", 64, 7, stride=2)
  net.pool("pool1/3x3_s2", "MAX", 3, 2)
  unit("conv2/3x3_reduce", 64, 1)
  unit("conv2/3x3", 192, 3)
  net.pool("pool2/3x3_s2", "MAX", 3, 2)
  for name, (one, reduce, three, double, first, second, projection, kind) in INCEPTION.items():
    source, stride, tops = net.top, 1 if one else 2, []

    def branch(layer, *args, block=f"inception_{name}", **options):
      unit(f"{block}/{layer}", *args, **options)
      return net.top

    if one:
      tops.append(branch("1x1", one, 1, bottom=source))
    branch("3x3_reduce", reduce, 1, bottom=source)
    tops.append(branch("3x3", three, 3, stride=stride))
    branch("double_3x3_reduce", double, 1, bottom=source)
    branch("double_3x3_1", first, 3)
    tops.append(branch("double_3x3_2", second, 3, stride=stride))
    net.pool(f"inception_{name}/pool", kind, 3, stride, 2 - stride, bottom=source)
    tops.append(branch("pool_proj", projection, 1) if projection else net.top)
    channels = sum(net.channels[top] for top in tops)
    net.add(f"inception_{name}/output", "Concat", bottoms=tuple(tops), channels=channels)
    features[f"inception_{name}"] = net.top
  return net, features


def _unit(net, name, *args, **options):
  net.conv(name, *args, **options)
  net.norm(f"{name}_bn", f"{name}_scale")
  net.relu(f"{name}_relu")


INCEPTION = {
  "3a": (64, 64, 64, 64, 96, 96, 32, "AVE"),
  "3b": (64, 64, 96, 64, 96, 96, 64, "AVE"),
  "3c": (0, 128, 160, 64, 96, 96, 0, "MAX"),
  "4a": (224, 64, 96, 96, 128, 128, 128, "AVE"),
  "4b": (192, 96, 128, 96, 128, 128, 128, "AVE"),
  "4c": (160, 128, 160, 128, 160, 160, 128, "AVE"),
  "4d": (96, 128, 192, 160, 192, 192, 128, "AVE"),
  "4e": (0, 128, 192, 192, 256, 256, 0, "MAX"),
  "5a": (352, 192, 320, 160, 224, 224, 128, "AVE"),
  "5b": (352, 192, 320, 192, 224, 224, 128, "MAX"),
}
NETWORKS = {"vgg16_20m": largefov, "resnet50": resnet50, "inceptionv2": inceptionv2}


def sample_values(feature):
  """About 400 of a feature's values, [N, H, W, C]."""
  values = np.asarray(feature, np.float32).ravel()
  return values[:: max(1, values.size // 400)]
