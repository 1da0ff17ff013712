"""Small changes that a radiograph survives, drawn anew for every picture and epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.config import AugmentConfig


def augment(
    pixels: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Rotate, zoom and shift about the centre, then change contrast and brightness.

    Takes one picture, uint8 (height, width, 3), and gives float32 of that shape, 0 to 255; what
    comes in from outside the picture is black, as beyond the collimator.
    """
    turn, across, down, zoom, brightness, contrast = rng.uniform(-1, 1, 6)
    height, width = pixels.shape[:2]
    angle = np.deg2rad(turn * config.rotation_degrees)
    scale = 1 + zoom * config.zoom
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    x, y = width / 2, height / 2
    moved = Image.fromarray(pixels).transform(
        (width, height),
        Image.Transform.AFFINE,
        (
            cosine, sine, x - cosine * x - sine * y + across * config.shift * width,
            -sine, cosine, y + sine * x - cosine * y + down * config.shift * height,
        ),
        Image.Resampling.BILINEAR,
    )  # fmt: skip
    levels: NDArray[np.float32] = np.asarray(moved, dtype=np.float32)
    mean = levels.mean()
    levels = (levels - mean) * np.float32(1 + contrast * config.contrast) + mean
    levels += np.float32(brightness * config.brightness * 255)
    return np.clip(levels, 0, 255, out=levels)
