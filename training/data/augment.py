"""Small changes that a radiograph survives, drawn anew for every picture and epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from training.data.film import (
    add_border,
    add_noise,
    bend_levels,
    blur,
    swap_exposure,
    swap_surroundings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.recipes.config import AugmentConfig


class Change(NamedTuple):
    """How far a picture is moved and how its levels are shifted; by default not at all."""

    rotation_degrees: float = 0.0
    """Clockwise, about the centre."""
    across: float = 0.0
    """The shift to the right, as a share of the width."""
    down: float = 0.0
    """The shift down, as a share of the height."""
    zoom: float = 0.0
    """The zoom: by what share a shorter stretch of each side is seen; above 0 enlarges. Below 1."""
    brightness: float = 0.0
    """Added to every level, as a share of the full range."""
    contrast: float = 0.0
    """Every level's distance from the mean is taken times 1 + this."""
    stretch: float = 0.0
    """The stretch: by what share less of the width is seen, and more of the height."""


def augment(
    pixels: NDArray[np.uint8],
    config: AugmentConfig,
    rng: np.random.Generator,
    draw_other: Callable[[], NDArray[np.uint8]],
) -> NDArray[np.float32]:
    """Apply changes drawn from within the bounds of `config`, and with its chances.

    Takes one picture, uint8 (height, width, 3), and gives float32 of that shape, 0 to 255.
    `draw_other` gives another of the same shape, whose exposure or surroundings are taken.
    """
    turn, across, down, zoom, brightness, contrast = rng.uniform(-1, 1, 6)
    change = Change(
        rotation_degrees=turn * config.rotation_degrees,
        # What is drawn says where each pixel comes from; a change says where it goes.
        across=-across * config.shift,
        down=-down * config.shift,
        zoom=-zoom * config.zoom,
        brightness=brightness * config.brightness,
        contrast=contrast * config.contrast,
        stretch=rng.uniform(-1, 1) * config.stretch,
    )
    if rng.random() < config.surroundings:
        pixels = swap_surroundings(pixels, draw_other(), rng)
    if rng.random() < config.exposure:
        pixels = swap_exposure(pixels, draw_other(), rng)
    if rng.random() < config.blur:
        pixels = blur(pixels, rng)
    levels = apply_change(pixels, change)
    if config.gamma:
        levels = bend_levels(levels, np.exp(rng.uniform(-1, 1) * config.gamma))
    if rng.random() < config.noise:
        levels = add_noise(levels, rng)
    if rng.random() < config.film_border:
        levels = add_border(levels, rng)
    return levels


def apply_change(pixels: NDArray[np.uint8], change: Change) -> NDArray[np.float32]:
    """Rotate, zoom, stretch and shift about the centre, then change contrast and brightness.

    Takes one picture, uint8 (height, width, 3 or 1), and gives float32 of that shape, 0 to 255;
    what comes in from outside the picture is black, as beyond the collimator.

    Raises:
        TypeError: the pixels are not uint8.
    """
    height, width = pixels.shape[:2]
    angle = np.deg2rad(change.rotation_degrees)
    cosine, sine = np.cos(angle) * (1 - change.zoom), np.sin(angle) * (1 - change.zoom)
    wide, high = 1 - change.stretch, 1 + change.stretch
    x, y = width / 2, height / 2
    moved = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).transform(
        (width, height),
        Image.Transform.AFFINE,
        (
            cosine * wide, sine * wide,
            x - wide * (cosine * x + sine * y) - change.across * width,
            -sine * high, cosine * high,
            y + high * (sine * x - cosine * y) - change.down * height,
        ),
        Image.Resampling.BILINEAR,
    )  # fmt: skip
    levels: NDArray[np.float32] = np.array(moved, dtype=np.float32).reshape(pixels.shape)
    mean = levels.mean()
    levels = (levels - mean) * np.float32(1 + change.contrast) + mean
    levels += np.float32(change.brightness * 255)
    return np.clip(levels, 0, 255, out=levels)
