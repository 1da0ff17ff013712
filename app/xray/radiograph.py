"""What a file is decoded to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image


class Radiograph(NamedTuple):
    """An upright 8-bit picture, and in whole sentences what its file says against trusting it."""

    image: Image.Image
    warnings: tuple[str, ...] = ()
