"""What a file is decoded to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from app.xray.errors import UnusableImage

if TYPE_CHECKING:
    from PIL import Image

MIN_SIDE: Final = 8
"""A picture of fewer pixels on either side holds no anatomy."""


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
