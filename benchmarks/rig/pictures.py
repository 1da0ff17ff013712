"""What is sent: gray pictures with some grain, as JPEG files and as forms."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image

BOUNDARY: Final = "cxr-benchmark"


def gray_jpeg(width: int, height: int) -> bytes:
    """A smooth gray picture with some grain, as a JPEG of quality 90."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8))
    levels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=float)
    grainy = (levels + rng.normal(0, 4, levels.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grainy).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def form(picture: bytes) -> bytes:
    """A multipart body with the picture in the field `file`, as curl would send it."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
