"""What differs between two films of the same patient, and must not tell the classes apart.

All take and give one picture (height, width, 3) of levels from 0 to 255.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Levels = NDArray[np.float32]

TOP: Final = (0.03, 0.12)
BOTTOM: Final = (0.84, 0.95)
LEFT: Final = (0.02, 0.10)
RIGHT: Final = (0.90, 0.98)
"""Between which shares of the sides the edges of the lungs' rectangle are drawn."""

BLUR_PIXELS: Final = (0.3, 1.6)
"""Standard deviations of the Gaussian, in pixels of the picture."""
NOISE_LEVELS: Final = (1.0, 10.0)
"""Standard deviations of the grain, in levels."""
BORDER_SHARE: Final = 0.07
"""The widest border, as a share of the side."""


def swap_surroundings(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """The lungs of `pixels` in what lies around those of `other`, uint8, as given.

    What lies around then says nothing about the class. After Xiao et al. 2021, "Noise or Signal:
    The Role of Image Backgrounds in Object Recognition" (their Mixed-Rand), with a rectangle whose
    edges are drawn in the place of a segmentation.
    """
    height, width = pixels.shape[:2]
    top, bottom = (round(rng.uniform(*share) * height) for share in (TOP, BOTTOM))
    left, right = (round(rng.uniform(*share) * width) for share in (LEFT, RIGHT))
    swapped = other.copy()
    swapped[top:bottom, left:right] = pixels[top:bottom, left:right]
    return swapped


def swap_exposure(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture with its levels moved towards those of `other`, uint8, as given.

    Histogram matching (Gonzalez and Woods, "Digital Image Processing", section 3.3), of which a
    share from 0.3 to 1 is drawn.
    """
    ours, theirs = (np.bincount(found.ravel(), minlength=256) for found in (pixels, other))
    occurring = np.flatnonzero(theirs)
    matched = np.interp(
        np.cumsum(ours) / pixels.size, np.cumsum(theirs)[occurring] / other.size, occurring
    )
    share = rng.uniform(0.3, 1.0)
    table = np.round((1 - share) * np.arange(256) + share * matched).astype(np.uint8)
    swapped: Pixels = table[pixels]
    return swapped


def blur(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture less sharp, uint8, as given."""
    radius = rng.uniform(*BLUR_PIXELS)
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def bend_levels(levels: Levels, exponent: float) -> Levels:
    """The levels, from 0 to 1, raised to `exponent`, float32, as given."""
    bent: Levels = np.float32(255) * (levels / np.float32(255)) ** np.float32(exponent)
    return bent


def add_noise(levels: Levels, rng: np.random.Generator) -> Levels:
    """The picture with grain that is the same in every channel, float32, as given."""
    grain = rng.standard_normal((*levels.shape[:2], 1), dtype=np.float32)
    noisy: Levels = levels + grain * np.float32(rng.uniform(*NOISE_LEVELS))
    return np.clip(noisy, 0, 255, out=noisy)


def add_border(levels: Levels, rng: np.random.Generator) -> Levels:
    """The picture with an even border at about half of its sides: black, white or gray."""
    level = np.float32(rng.choice([0, 0, 255, rng.uniform(0, 255)]))
    height, width = levels.shape[:2]
    top, bottom, left, right = (
        int(rng.uniform(0, BORDER_SHARE) * side) if rng.random() < 0.5 else 0
        for side in (height, height, width, width)
    )
    bordered = np.full_like(levels, level)
    inside = slice(top, height - bottom), slice(left, width - right)
    bordered[inside] = levels[inside]
    return bordered
