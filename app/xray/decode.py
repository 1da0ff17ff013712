"""Bytes of an image file -> an upright 8-bit picture."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from PIL import Image

from app.xray.errors import TooManyPixels, UnsupportedImageType, UnusableImage

MAX_PIXELS: Final = 50_000_000
"""The largest picture that is decoded by default; digital radiographs stay below 25 million."""

_SIGNATURES: Final = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n"}
_DICOM_MAGIC: Final = (128, b"DICM")
_ORIENTATION_TAG: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture stored with each EXIF orientation is turned upright (EXIF 2.32, section 4.6.4)."""
_WITHOUT_ALPHA: Final = {"LA": "L", "RGBA": "RGB"}
_PNG_BIT_DEPTH: Final = 24
"""Where the header chunk of a PNG file holds it (PNG, third edition, section 11.2.1)."""


def sniff(data: bytes) -> str:
    """The type that the first bytes declare: "JPEG" or "PNG".

    Raises:
        UnsupportedImageType: the bytes declare another type, or none.
    """
    for kind, signature in _SIGNATURES.items():
        if data.startswith(signature):
            return kind
    offset, magic = _DICOM_MAGIC
    if data[offset:].startswith(magic):
        raise UnsupportedImageType("This version does not read DICOM. Send a JPEG or PNG export.")
    raise UnsupportedImageType("The first bytes are neither those of a JPEG nor of a PNG file.")


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode one JPEG or PNG file, turned upright as its EXIF orientation says.

    The picture keeps its size and its 8-bit colour mode (`preprocess.to_pixels` makes it RGB).
    A PNG of 16 bits a channel becomes one of 8 over its own range: its lowest value 0, its
    highest 255, so that a 12-bit film in a 16-bit file is neither black nor clipped to white.
    Only for gray without alpha does Pillow hand over more than the upper 8 bits to spread.

    Args:
        data: the whole file.
        max_pixels: the largest width x height; held against the header, before decoding.

    Raises:
        UnsupportedImageType: neither JPEG nor PNG, by its first bytes.
        TooManyPixels: more than `max_pixels`.
        UnusableImage: truncated, corrupt, or an animation.
    """
    kind = sniff(data)
    image = _open(data, kind)
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixels(
            f"The picture declares {width} x {height} pixels; at most {max_pixels:,} are decoded."
        )
    # A JPEG may carry further pictures (previews, depth maps) behind the radiograph: the first
    # is the radiograph. A PNG with several frames is an animation, and none of them is.
    if kind == "PNG" and getattr(image, "n_frames", 1) > 1:
        raise UnusableImage("The PNG file is an animation; send a single picture.")
    try:
        if kind == "PNG":
            _open(data, kind).verify()  # the checksums, which `load` does not look at
        image.load()
    except Exception as error:  # Pillow documents no closed set of errors for corrupt files
        raise UnusableImage(f"The {kind} file is truncated or corrupt.") from error
    image = _upright(image)
    has_16_bits = kind == "PNG" and data[_PNG_BIT_DEPTH] == 16
    return _eight_bits(image) if has_16_bits else image


def _open(data: bytes, kind: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=[kind])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels("The picture declares more pixels than are ever decoded.") from error
    except Exception as error:  # as in decode
        raise UnusableImage(f"The {kind} file's header is truncated or corrupt.") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation: Any = image.getexif().get(_ORIENTATION_TAG)
        turn = _TURNS.get(orientation)
    except Exception:  # broken metadata beside sound pixels says nothing about orientation
        return image
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image.convert(_WITHOUT_ALPHA.get(image.mode, image.mode)))
    low, high = int(values.min()), int(values.max())
    steps = np.arange(high - low + 1) * (255 / max(high - low, 1))
    return Image.fromarray(np.rint(steps).astype(np.uint8)[values - low])
