"""How much work a file asks for, told from its head before any of it is decoded."""

from __future__ import annotations

import math
import struct
from typing import Final

from app.xray.decode.codestream import FRAMES, START_OF_SCAN, markers
from app.xray.decode.file import sniff
from app.xray.errors import UnsupportedImageType

QUICK_PIXELS: Final = 16_000_000
"""Up to these a JPEG or PNG takes less than a second and 150 MB; most radiographs have 4 to 9."""

_PNG_SIZE: Final = struct.Struct(">II")
_PNG_SIZE_AT: Final = 16  # in IHDR, which comes first (PNG, third edition, section 5.6)
_JPEG_SIZE: Final = struct.Struct(">HH")
_MOST_SEGMENTS: Final = 1000


def takes_long(data: bytes) -> bool:
    """Whether decoding `data` may take more than its size and a known small time and memory.

    So it is for DICOM, whose codecs are many and old; for JPEG with more than one scan, each of
    which passes over all pixels, however few its bytes; for pictures of more than `QUICK_PIXELS`.
    What is neither JPEG nor PNG nor DICOM is refused at once, and does not.
    """
    try:
        kind = sniff(data)
    except UnsupportedImageType:
        return False
    if kind == "PNG":
        return _png_pixels(data) > QUICK_PIXELS
    if kind == "JPEG":
        # A preview within the metadata has scans too: then it is one process more than needed.
        return data.count(START_OF_SCAN) > 1 or _jpeg_pixels(data) > QUICK_PIXELS
    return True


def _png_pixels(data: bytes) -> int:
    """The pixels that a PNG's header declares; 0 where it is cut off."""
    size = data[_PNG_SIZE_AT : _PNG_SIZE_AT + _PNG_SIZE.size]
    return math.prod(_PNG_SIZE.unpack(size)) if len(size) == _PNG_SIZE.size else 0


def _jpeg_pixels(data: bytes) -> float:
    """The pixels that a JPEG's frame header declares (ITU-T T.81, B.2.2); 0 where there is none."""
    try:
        for count, (marker, offset) in enumerate(markers(data)):
            if marker in FRAMES:
                height, width = _JPEG_SIZE.unpack_from(data, offset + 1)
                return int(height * width)
            if count > _MOST_SEGMENTS:
                return math.inf
    except (struct.error, LookupError):  # cut off: decoding says so, at once
        pass
    return 0
