"""Pictures as a page holds them within itself: data URIs (RFC 2397)."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_QUALITY: Final = 85


def svg_uri(figure: Figure) -> str:
    """A figure, its letters drawn as outlines: sharp at any size, and the same everywhere."""
    buffer = io.BytesIO()
    # A fixed salt and no date, so that the same figure gives the same file.
    with mpl.rc_context({"svg.hashsalt": "report"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _uri("image/svg+xml", buffer.getvalue())


def jpeg_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture, uint8 (height, width, 3), some 10 kB at 224 x 224."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    return _uri("image/jpeg", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
