"""A radiograph under its heat map."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INFERNO: Final = ((40, 11, 84), (120, 28, 109), (188, 55, 84), (237, 105, 37), (251, 180, 26))
"""Part of Matplotlib's "inferno" (van der Walt and Smith 2015), whose lightness only rises: it
is read alike by those who do not see all colours, and in print."""
_MAX_OPACITY: Final = 0.6


def color_table() -> NDArray[np.uint8]:
    """uint8 (256, 3): the colour of each level of heat."""
    anchors = np.array(_INFERNO)
    at = np.linspace(0, len(anchors) - 1, 256)
    bands = [np.interp(at, range(len(anchors)), band) for band in anchors.T]
    return np.stack(bands, axis=1).round().astype(np.uint8)


def blend(picture: Image.Image, heat: NDArray[np.float32]) -> Image.Image:
    """The picture where there is no heat, and ever more of the heat's colour where there is.

    `heat` is float32 (rows, columns), 0 to 1, stretched over the whole picture; the result is RGB.
    """
    levels = stretch(heat, picture.size)
    opacity = levels.point([round(level * _MAX_OPACITY) for level in range(256)])
    return Image.composite(colored(levels), picture.convert("RGB"), opacity)


def within(
    heat: NDArray[np.float32], box: tuple[float, float, float, float], size: tuple[int, int]
) -> NDArray[np.float32]:
    """`heat` of a part of a picture as that of the whole: float32, no heat outside the part.

    `box` (left, top, right, bottom) is where that part lies in a picture of `size` (width, height).
    """
    left, top, right, bottom = map(round, box)
    if (left, top, right, bottom) == (0, 0, *size):
        return heat
    whole = Image.new("L", size)
    whole.paste(stretch(heat, (max(1, right - left), max(1, bottom - top))), (left, top))
    return np.asarray(whole, np.float32) / np.float32(255)


def stretch(heat: NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """`heat`, float32 (rows, columns), 0 to 1, as levels 0 to 255 of `size` (width, height)."""
    levels = Image.fromarray((heat * 255).round().astype(np.uint8))
    return levels.resize(size, Image.Resampling.BICUBIC)


def colored(levels: Image.Image) -> Image.Image:
    """The colour of each of `levels`, a picture of mode L, as RGB."""
    colors = levels.copy()
    colors.putpalette(_palette())
    return colors.convert("RGB")


@lru_cache
def _palette() -> bytes:
    return color_table().tobytes()
