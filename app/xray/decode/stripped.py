"""A file without all that stands beside its picture."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from app.xray.decode.codestream import (
    FRAMES,
    JPEG_LS,
    JPEG_START,
    MAX_PARTS,
    START_OF_SCAN,
    segments,
)
from app.xray.decode.foreign import JPEG_LS_START, describe
from app.xray.errors import UnsupportedImageType, UnusableImage
from app.xray.image_types import PNG

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLES_AND_FRAMES: Final = frozenset(range(0xC0, 0xD0)) | frozenset(range(0xDB, 0xE0))
_COLORS: Final = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}
"""Application segments that say what the components of a JPEG are."""
_BESIDE: Final = frozenset(range(0xE0, 0xF0)) | {0xFE}
"""All application segments, and comments: nothing of the picture."""
_EXIF: Final = 0xE1, b"Exif\0\0"
_MAX_TABLES: Final = 1 << 20
"""Bytes before the first scan of a JPEG; a frame and its tables take some hundred."""
_CHUNK: Final = struct.Struct(">I4s")
_UINT: Final = struct.Struct(">I")
_IHDR_LENGTH: Final = 13


class Bare(NamedTuple):
    """The file, and the EXIF block that stood there, or b"".

    Pillow reads metadata in Python, inflates profiles and texts, and keeps it all. None of it is
    pixels, and small files can hold so much of it that the server does nothing else for long.
    """

    data: bytes
    exif: bytes


def bare_jpeg(data: bytes) -> Bare:
    """A JPEG of nothing but its frame, its tables and its scans (ITU-T T.81, B.2.1).

    What follows the start of the first scan is not looked at, and nothing is copied where there
    is nothing to leave out.

    Raises:
        UnsupportedImageType: it is JPEG-LS, another standard that begins alike.
        UnusableImage: what stands before the first scan is cut off, corrupt, of two frames, of
            more than `MAX_PARTS` segments, or of a megabyte of tables; its samples are of another
            depth than 8 bits.
    """
    kept: list[bytes] = [JPEG_START]
    exif, frames = b"", 0
    try:
        for marker, start in segments(data):
            if marker == START_OF_SCAN[1]:
                size = sum(map(len, kept))
                if frames != 1 or size > _MAX_TABLES:
                    break
                if size == start:
                    return Bare(data, exif)
                return Bare(b"".join([*kept, memoryview(data)[start:]]), exif)
            (length,) = struct.unpack_from(">H", data, start + 2)
            end = start + 2 + length
            if length < 2 or end > len(data):
                break
            if marker == JPEG_LS:
                raise UnsupportedImageType(describe(JPEG_LS_START))
            if marker in FRAMES:
                frames += 1
                _refuse_other_depths(data[start + 4])
            color = _COLORS.get(marker)
            if marker in _TABLES_AND_FRAMES or (color and data.startswith(color, start + 4)):
                kept.append(data[start:end])
            elif marker not in _BESIDE:
                break
            elif marker == _EXIF[0] and not exif and data.startswith(_EXIF[1], start + 4):
                exif = data[start + 4 + len(_EXIF[1]) : end]
    except (struct.error, LookupError):  # cut off
        pass
    raise UnusableImage("The JPEG file's header is truncated or corrupt.")


def _refuse_other_depths(bits: int) -> None:
    if bits != 8 and 2 <= bits <= 16:  # else it is no depth at all, and libjpeg says so
        raise UnusableImage(
            f"The JPEG file has {bits} bits for a sample; 8 are read, and 16 as PNG or DICOM."
        )


def bare_png(data: bytes) -> Bare:
    """A PNG of nothing but header, palette, pixels and end, all checksums right.

    (PNG, third edition, sections 5 and 11.) Pixels are those of the first run of IDAT chunks.

    Raises:
        UnusableImage: a chunk is cut off or corrupt; IHDR is not the first, or not alone; there
            are no pixels, more than `MAX_PARTS` chunks, or several frames.
    """
    try:
        return _bare_png(data)
    except struct.error as error:
        raise UnusableImage("The PNG file is truncated or corrupt.") from error


def _bare_png(data: bytes) -> Bare:
    kept: list[memoryview] = []
    exif, before, frames, has_pixels, ends_pixels = b"", b"", 0, False, False
    for kind, start, end in _chunks(data):
        content = memoryview(data)[start + 8 : end - 4]
        if (kind == b"IHDR") != (not before) or (not before and len(content) != _IHDR_LENGTH):
            raise UnusableImage("The PNG file's header is truncated or corrupt.")
        ends_pixels |= before == b"IDAT" != kind
        if kind == b"acTL" and not has_pixels:
            frames = _UINT.unpack_from(content)[0]
        if frames > 1 or (frames and kind == b"fdAT"):
            raise UnusableImage("The PNG file is an animation; send a single picture.")
        if kind == b"eXIf" and not exif:
            exif = bytes(content).removeprefix(_EXIF[1])
        is_palette = kind == b"PLTE" and not has_pixels
        is_pixels = kind == b"IDAT" and not ends_pixels
        has_pixels |= is_pixels
        if kind in {b"IHDR", b"IEND"} or is_palette or is_pixels:
            kept.append(memoryview(data)[start:end])
        before = kind
    if not has_pixels:
        raise UnusableImage("The PNG file holds no picture: it has no IDAT chunk.")
    if sum(map(len, kept)) + len(PNG.signature) == len(data):
        return Bare(data, exif)
    return Bare(b"".join([PNG.signature, *kept]), exif)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The type of each chunk of a PNG up to IEND, where it starts and ends, its checksum right.

    Raises UnusableImage after more than `MAX_PARTS` of them, and struct.error where it is cut off.
    """
    start, kind = len(PNG.signature), b""
    for _ in range(MAX_PARTS):
        length, kind = _CHUNK.unpack_from(data, start)
        end = start + 12 + length
        (checksum,) = _UINT.unpack_from(data, end - 4)
        if zlib.crc32(memoryview(data)[start + 4 : end - 4]) != checksum:
            raise UnusableImage("The PNG file is truncated or corrupt.")
        yield kind, start, end
        if kind == b"IEND":
            return
        start = end
    raise UnusableImage(f"The PNG file has more than {MAX_PARTS:,} chunks.")
