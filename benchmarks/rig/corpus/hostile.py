"""Parts of hostile files that are not found by chance."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from benchmarks.rig.corpus.chunks import SIGNATURE, Chunk, gray, join
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

NANS = np.full((48, 48), np.nan, np.float32)
BOMB = zlib.compress(bytes(20_000_000), 9)
"""20 kB that inflate to a thousand times as much."""
HTML = b"<html><script>alert(1)</script></html>"
LOOP = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 8)
"""EXIF, orientation 6, of a directory that names itself the next."""


def jpeg(size: tuple[int, int] = (64, 48)) -> bytes:
    return encode(draw_radiograph(1, size), "JPEG")


def png_with(
    *beside: Chunk, after: Sequence[Chunk] = (), size: tuple[int, int] = (64, 48)
) -> bytes:
    """A sound PNG with these chunks before its pixels and those after them."""
    header, pixels, end = gray(*size)
    return join([header, *beside, pixels, *after, end])


def png_around(*, before: bytes = b"", after: bytes = b"") -> bytes:
    """A sound PNG with these bytes before its pixels and those after them."""
    header, pixels, end = (join([chunk])[len(SIGNATURE) :] for chunk in gray(64, 48))
    return SIGNATURE + header + before + pixels + after + end


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def jpeg_with(*segments: bytes, size: tuple[int, int] = (64, 48)) -> bytes:
    """A sound JPEG with these bytes behind its first marker."""
    data = jpeg(size)
    return b"".join([data[:2], *segments, data[2:]])


def jpeg_declaring(width: int, height: int) -> bytes:
    """A JPEG of a few pixels whose frame header promises others."""
    data = jpeg()
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def png_of(width: int, height: int) -> bytes:
    return join(gray(width, height))


def dicom_of(width: int, height: int) -> bytes:
    return write_dicom(np.zeros((height, width), np.uint8))


def dicom_declaring(width: int, height: int) -> bytes:
    return write_dicom(np.zeros((48, 64), np.uint8), Rows=height, Columns=width)


def dicom_behind(preamble: bytes) -> bytes:
    """A sound DICOM file whose first 128 bytes are those of another type."""
    return preamble[:128].ljust(128, b"\0") + dicom_of(64, 48)[128:]


def dicom_with(elements: bytes) -> bytes:
    """A sound DICOM file with these elements before all others."""
    data = dicom_of(64, 48)
    start = 132 + 12 + struct.unpack_from("<I", data, 140)[0]
    return data[:start] + elements + data[start:]


def dicom_of_floats(keyword: str) -> bytes:
    """NaNs of 32 bits, as PixelData or where the standard has them."""
    data = {"PixelData": None, keyword: NANS.tobytes()}
    return write_dicom(np.zeros(NANS.shape, np.uint8), **data, BitsAllocated=32, BitsStored=32)


def archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


def pdf_around(picture: bytes) -> bytes:
    head = b"%PDF-1.7\n1 0 obj\n<</Subtype/Image/Filter/DCTDecode/Length "
    return head + b"%d>>stream\n" % len(picture) + picture + b"\nendstream endobj\n%%EOF"


def float_tiff() -> bytes:
    return encode(Image.fromarray(NANS), "TIFF")
