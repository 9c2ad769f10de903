"""Backbones, from images to features; all of `ppool_jax.models` may import them but the heads."""

from ppool_jax.models.backbones.backbone import Backbone
from ppool_jax.models.backbones.inception import InceptionV2
from ppool_jax.models.backbones.resnet import ResNet
from ppool_jax.models.backbones.vgg import VGG
from ppool_jax.models.backbones.vgg16_20m import VGG20M
from ppool_jax.models.backbones.xception import Xception

__all__ = ["VGG", "VGG20M", "Backbone", "InceptionV2", "ResNet", "Xception"]
