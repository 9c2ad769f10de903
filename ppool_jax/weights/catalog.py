"""Well-known public files of weights: where they are, their hashes, and what they expect of an image.

Facts only, read in the sources that each entry names; no package is imported for them. There is no entry
without a hash that was read somewhere, so DeepLab's vgg16_20M.caffemodel and yjxiong's Caffe model of
BN-Inception are missing: no hash of theirs was found. Sizes are what Keras and PyTorch print when they
download the files (torchvision's `_file_size` agrees), and None where none was found.
"""

from __future__ import annotations

import dataclasses

from ppool_jax.weights.preprocess import BN_INCEPTION, CAFFE, TF, TORCHVISION, Preprocess

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_TORCH = "https://download.pytorch.org/models"
_APPLICATIONS = "keras 3.15.1, src/applications"
_TORCHVISION = "torchvision 0.28.0, models"
_CADENE = "pretrainedmodels 0.7.4, models"


@dataclasses.dataclass(frozen=True)
class KnownFile:
  """A public file.

  Attributes:
    name: the file's name, by which it is fetched.
    network: the network whose weights it holds, a name of `ppool_jax.weights.load`.
    folder: the URL of the folder where its publisher, or else a mirror, has it.
    size: in bytes, or None.
    kind: of the hash: "md5", "sha1", "sha256", or "sha256-prefix", its first digits.
    hash: in hexadecimal.
    hash_source: where the hash was read: package, version and file.
    preprocess: what the weights expect of an image.
    note: what else is to be known.
  """

  name: str
  network: str
  folder: str
  size: int | None
  kind: str
  hash: str
  hash_source: str
  preprocess: Preprocess
  note: str = ""

  @property
  def url(self) -> str:
    return self.folder + self.name


_FILES = (
  KnownFile(
    "vgg16_weights_tf_dim_ordering_tf_kernels.h5", "vgg16", f"{_KERAS}/vgg16/", 553_467_096,
    "md5", "64373286793e3c8b2b4e3219cbf3544b", f"{_APPLICATIONS}/vgg16.py", CAFFE,
  ),
  KnownFile(
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "vgg16", f"{_KERAS}/vgg16/", 58_889_256,
    "md5", "6d6bbae143d832006294945121d1f1fc", f"{_APPLICATIONS}/vgg16.py", CAFFE, "no classifier",
  ),
  KnownFile(
    "resnet50_weights_tf_dim_ordering_tf_kernels.h5", "resnet50", f"{_KERAS}/resnet/", 102_967_424,
    "md5", "2cb95161c43110f7111970584f804107", f"{_APPLICATIONS}/resnet.py", CAFFE,
  ),
  KnownFile(
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "resnet50", f"{_KERAS}/resnet/", 94_765_736,
    "md5", "4d473c1dd8becc155b73f8504c6f6626", f"{_APPLICATIONS}/resnet.py", CAFFE, "no classifier",
  ),
  KnownFile(
    "xception_weights_tf_dim_ordering_tf_kernels.h5", "xception", f"{_KERAS}/xception/", 91_884_032,
    "md5", "0a58e3b7378bc2990ea3b43d5981f1f6", f"{_APPLICATIONS}/xception.py", TF,
  ),
  KnownFile(
    "xception_weights_tf_dim_ordering_tf_kernels_notop.h5", "xception", f"{_KERAS}/xception/", 83_683_744,
    "md5", "b0042744bf5b25fce3cb969f33bebb97", f"{_APPLICATIONS}/xception.py", TF, "no classifier",
  ),
  KnownFile(
    "vgg16-397923af.pth", "vgg16", f"{_TORCH}/", 553_433_881,
    "sha256-prefix", "397923af", f"{_TORCHVISION}/vgg.py", TORCHVISION, "IMAGENET1K_V1",
  ),
  KnownFile(
    "resnet50-0676ba61.pth", "resnet50", f"{_TORCH}/", 102_530_333,
    "sha256-prefix", "0676ba61", f"{_TORCHVISION}/resnet.py", TORCHVISION, "IMAGENET1K_V1",
  ),
  KnownFile(
    "resnet50-11ad3fa6.pth", "resnet50", f"{_TORCH}/", 102_540_417,
    "sha256-prefix", "11ad3fa6", f"{_TORCHVISION}/resnet.py", TORCHVISION, "IMAGENET1K_V2",
  ),
  KnownFile(
    "resnet50-19c8e357.pth", "resnet50", f"{_TORCH}/", 102_502_400,
    "sha256-prefix", "19c8e357", f"{_CADENE}/torchvision_models.py", TORCHVISION, "an earlier file",
  ),
  KnownFile(
    "VGG_ILSVRC_16_layers.caffemodel", "vgg16",
    "http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/", 553_432_081,
    "sha1", "9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
    "apache/mxnet, tools/caffe_converter/convert_caffe_modelzoo.py", CAFFE, "the VGG team's own",
  ),
  KnownFile(
    "ResNet-50-model.caffemodel", "resnet50", "https://dl.opencv.org/models/", None,
    "sha1", "b7c79ccc21ad0479cddc0dd78b1d20c4d722908d",
    "opencv/opencv_extra, testdata/dnn/download_models.py", CAFFE,
    "the authors' own, from OpenCV's mirror; trained with a mean image, not these means of its channels",
  ),
  KnownFile(
    "bn_inception-52deb4733.pth", "inceptionv2", "http://data.lip6.fr/cadene/pretrainedmodels/", None,
    "sha256-prefix", "52deb4733", f"{_CADENE}/bninception.py", BN_INCEPTION, "ported from Caffe",
  ),
  KnownFile(
    "xception-43020ad28.pth", "xception",
    "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-cadene/", None,
    "sha256-prefix", "43020ad28", f"{_CADENE}/xception.py; timm 1.0.31, models/xception.py", TF,
    "ported from Keras",
  ),
)  # fmt: skip
KNOWN = {file.name: file for file in _FILES}
