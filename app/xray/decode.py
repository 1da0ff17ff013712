"""Bytes of an image file -> an upright 8-bit picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from app.xray.errors import TooManyPixels, UnsupportedImageType, UnusableImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
_WITH_ALPHA: Final = frozenset({"LA", "RGBA"})
_ROWS_AT_ONCE: Final = 64
_START_OF_SCAN: Final = b"\xff\xda"
_MAX_SCANS: Final = 100
"""A progressive JPEG has about ten; each costs a pass over all pixels, however few its bytes."""
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
    if data.startswith(magic, offset):
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
    _refuse_what_pillow_would_take(image, data, kind)
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


def _refuse_what_pillow_would_take(image: Image.Image, data: bytes, kind: str) -> None:
    # A JPEG may carry further pictures (previews, depth maps) behind the radiograph: the first
    # is the radiograph. A PNG with several frames is an animation, and none of them is.
    if kind == "PNG" and getattr(image, "n_frames", 1) > 1:
        raise UnusableImage("The PNG file is an animation; send a single picture.")
    if kind == "PNG" and image.mode == "P" and b"PLTE" not in data:
        raise UnusableImage("The PNG file lacks the palette that its pixels refer to.")
    # libjpeg stops after the first scan of a picture that can have but one.
    has_one_scan = image.mode == "L" and not image.info.get("progressive")
    if kind == "JPEG" and not has_one_scan and data.count(_START_OF_SCAN) > _MAX_SCANS:
        raise UnusableImage(f"The JPEG file has more than {_MAX_SCANS} scans.")


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation: Any = image.getexif().get(_ORIENTATION_TAG)
        turn = _TURNS.get(orientation)
    except Exception:  # broken metadata beside sound pixels says nothing about orientation
        return image
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Spread what Pillow read of 16 bits over 0 to 255, without a second large copy of it."""
    if not image.mode.startswith("I"):  # colour or alpha: the upper 8 bits of each channel
        has_alpha = image.mode in _WITH_ALPHA
        bands = np.array(image.getextrema())
        colors = bands[:-1] if has_alpha else bands
        table = _spread(int(colors.min()), int(colors.max()), 256).tolist()
        return image.point(table * len(colors) + list(range(256)) * has_alpha)
    values = np.asarray(image)
    table = _spread(int(values.min()), int(values.max()), 1 << 16)
    spread = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), _ROWS_AT_ONCE):
        spread[row : row + _ROWS_AT_ONCE] = table[values[row : row + _ROWS_AT_ONCE]]
    return Image.fromarray(spread)


def _spread(low: int, high: int, levels: int) -> NDArray[np.uint8]:
    """uint8 (levels,): what each level becomes when `low` becomes 0 and `high` 255."""
    slope = 255 / max(high - low, 1)
    spread: NDArray[np.float64] = np.arange(levels, dtype=np.float64)
    spread -= low
    spread *= slope
    return spread.round().clip(0, 255).astype(np.uint8)
