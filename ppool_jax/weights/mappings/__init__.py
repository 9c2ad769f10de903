"""Key mappings, from a file's arrays to variables; all of weights may import them but the readers."""

from ppool_jax.weights.mappings.inception import INCEPTIONV2
from ppool_jax.weights.mappings.key_mapping import KeyMapping, ParamSpec, convert, detect
from ppool_jax.weights.mappings.resnet import RESNET50
from ppool_jax.weights.mappings.vgg import VGG16, VGG16_20M
from ppool_jax.weights.mappings.xception import XCEPTION

KEY_MAPPINGS: dict[str, tuple[KeyMapping, ...]] = {
  "vgg16": VGG16,
  "vgg16_20m": VGG16_20M,
  "resnet50": RESNET50,
  "inceptionv2": INCEPTIONV2,
  "xception": XCEPTION,
}
"""The key mappings of each backbone, one for each family of files."""

__all__ = ["KEY_MAPPINGS", "KeyMapping", "ParamSpec", "convert", "detect"]
