"""What a file is decoded to."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from app.xray.errors import UnusableImage

MIN_SIDE: Final = 8
"""A picture of fewer pixels on either side holds no anatomy."""

_GRID: Final = 256
_FLAT_LEVELS: Final = 16
"""Of 256. A film of 12 bits is left with as many where one hot pixel of 16 bits takes the range;
the flattest of 1,678 films and other pictures has 24."""


class Radiograph(NamedTuple):
    """An upright 8-bit picture, and in whole sentences what its file says against trusting it."""

    image: Image.Image
    warnings: tuple[str, ...] = ()


def refuse_small(columns: int, rows: int) -> None:
    """Raise UnusableImage for a picture of fewer than `MIN_SIDE` pixels on either side."""
    if min(columns, rows) < MIN_SIDE:
        raise UnusableImage(
            f"The picture is {columns} x {rows} pixels; at least {MIN_SIDE} a side are needed."
        )


def is_flat(image: Image.Image) -> bool:
    """Whether all but a hundredth of the pixels share nearly one gray: fewer than `_FLAT_LEVELS`.

    Looked at are those of an even grid, so that a few hot pixels count for nothing.
    """
    sample = image.resize((_GRID, _GRID), Image.Resampling.NEAREST).convert("L")
    below = np.cumsum(sample.histogram()) / _GRID**2
    low, high = np.searchsorted(below, (0.01, 0.99))
    return bool(high - low < _FLAT_LEVELS)


def refuse_flat(image: Image.Image) -> None:
    """Raise UnusableImage for a picture that shows nothing: see `is_flat`."""
    if is_flat(image):
        raise UnusableImage(
            "The picture shows nothing: nearly all of its pixels are of nearly one level. A few "
            "far brighter or darker ones may have taken the range."
        )
