"""Decoding of stored images and label maps."""

import io

import numpy as np
import pytest
from PIL import Image

from train.data.prepared import decode_image


def encode(image, kind="PNG"):
  buffer = io.BytesIO()
  image.save(buffer, kind)
  return buffer.getvalue()


def test_palette_image_is_decoded_as_indices():
  indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
  image = Image.fromarray(indices)
  image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
  np.testing.assert_array_equal(decode_image(encode(image)), indices)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_truncated_file_is_reported_as_truncated(kind, share):
  noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  file = encode(Image.fromarray(noise), kind)
  assert decode_image(file).shape == noise.shape
  with pytest.raises(OSError, match="truncated"):
    decode_image(file[: int(share * len(file))])
