"""The catalog of public weight files: addresses, hashes, and the preprocessing that they expect.

Every entry names the source from which its hash was read. Files without a published hash are not listed
(DeepLab's vgg16_20M.caffemodel, yjxiong's Caffe model of BN-Inception). Sizes are those that Keras and
PyTorch print when they download the files (torchvision's `_file_size` agrees), and None where unknown.
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
class PublicFile:
  """A public weight file.

  Attributes:
    name: the file's name.
    network: the network of its weights, a name of `ppool_jax.models.BACKBONES`.
    base_url: the URL to which `name` is appended, of the publisher or else of a mirror.
    size: in bytes; None: unknown.
    hash_type: "md5", "sha1", "sha256", or "sha256-prefix" for the first digits of a SHA-256.
    hash: in hexadecimal.
    hash_source: where the hash was read: package, version and file.
    preprocess: what the weights expect of an image.
    note: a remark for `list`.
  """

  name: str
  network: str
  base_url: str
  size: int | None
  hash_type: str
  hash: str
  hash_source: str
  preprocess: Preprocess
  note: str = ""

  @property
  def url(self) -> str:
    """The file's address."""
    return self.base_url + self.name

  @property
  def described_hash(self) -> str:
    """The hash with its type, such as "md5 64373286793e3c8b2b4e3219cbf3544b"."""
    return f"{self.hash_type} {self.hash}"


_FILES = (
  PublicFile(
    "vgg16_weights_tf_dim_ordering_tf_kernels.h5", "vgg16", f"{_KERAS}/vgg16/", 553_467_096,
    "md5", "64373286793e3c8b2b4e3219cbf3544b", f"{_APPLICATIONS}/vgg16.py", CAFFE,
  ),
  PublicFile(
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "vgg16", f"{_KERAS}/vgg16/", 58_889_256,
    "md5", "6d6bbae143d832006294945121d1f1fc", f"{_APPLICATIONS}/vgg16.py", CAFFE, "no classifier",
  ),
  PublicFile(
    "resnet50_weights_tf_dim_ordering_tf_kernels.h5", "resnet50", f"{_KERAS}/resnet/", 102_967_424,
    "md5", "2cb95161c43110f7111970584f804107", f"{_APPLICATIONS}/resnet.py", CAFFE,
  ),
  PublicFile(
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "resnet50", f"{_KERAS}/resnet/", 94_765_736,
    "md5", "4d473c1dd8becc155b73f8504c6f6626", f"{_APPLICATIONS}/resnet.py", CAFFE, "no classifier",
  ),
  PublicFile(
    "xception_weights_tf_dim_ordering_tf_kernels.h5", "xception", f"{_KERAS}/xception/", 91_884_032,
    "md5", "0a58e3b7378bc2990ea3b43d5981f1f6", f"{_APPLICATIONS}/xception.py", TF,
  ),
  PublicFile(
    "xception_weights_tf_dim_ordering_tf_kernels_notop.h5", "xception", f"{_KERAS}/xception/", 83_683_744,
    "md5", "b0042744bf5b25fce3cb969f33bebb97", f"{_APPLICATIONS}/xception.py", TF, "no classifier",
  ),
  PublicFile(
    "vgg16-397923af.pth", "vgg16", f"{_TORCH}/", 553_433_881,
    "sha256-prefix", "397923af", f"{_TORCHVISION}/vgg.py", TORCHVISION, "IMAGENET1K_V1",
  ),
  PublicFile(
    "resnet50-0676ba61.pth", "resnet50", f"{_TORCH}/", 102_530_333,
    "sha256-prefix", "0676ba61", f"{_TORCHVISION}/resnet.py", TORCHVISION, "IMAGENET1K_V1",
  ),
  PublicFile(
    "resnet50-11ad3fa6.pth", "resnet50", f"{_TORCH}/", 102_540_417,
    "sha256-prefix", "11ad3fa6", f"{_TORCHVISION}/resnet.py", TORCHVISION, "IMAGENET1K_V2",
  ),
  PublicFile(
    "resnet50-19c8e357.pth", "resnet50", f"{_TORCH}/", 102_502_400,
    "sha256-prefix", "19c8e357", f"{_CADENE}/torchvision_models.py", TORCHVISION, "an earlier file",
  ),
  PublicFile(
    "VGG_ILSVRC_16_layers.caffemodel", "vgg16",
    "http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/", 553_432_081,
    "sha1", "9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
    "apache/mxnet, tools/caffe_converter/convert_caffe_modelzoo.py", CAFFE, "by the VGG team",
  ),
  PublicFile(
    "ResNet-50-model.caffemodel", "resnet50", "https://dl.opencv.org/models/", None,
    "sha1", "b7c79ccc21ad0479cddc0dd78b1d20c4d722908d",
    "opencv/opencv_extra, testdata/dnn/download_models.py", CAFFE,
    "by the authors, from OpenCV's mirror; trained with a mean image, not with these channel means",
  ),
  PublicFile(
    "bn_inception-52deb4733.pth", "inceptionv2", "http://data.lip6.fr/cadene/pretrainedmodels/", None,
    "sha256-prefix", "52deb4733", f"{_CADENE}/bninception.py", BN_INCEPTION, "ported from Caffe",
  ),
  PublicFile(
    "xception-43020ad28.pth", "xception",
    "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-cadene/", None,
    "sha256-prefix", "43020ad28", f"{_CADENE}/xception.py; timm 1.0.31, models/xception.py", TF,
    "ported from Keras",
  ),
)  # fmt: skip
CATALOG: dict[str, PublicFile] = {file.name: file for file in _FILES}
"""The public files by name."""
