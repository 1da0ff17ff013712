"""PNG files as lists of chunks (PNG, third edition, section 5)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PASSES: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Adam7: first column, first row, and the steps between them (section 8.1)."""


class Chunk(NamedTuple):
    kind: bytes
    content: bytes


def join(chunks: Iterable[Chunk]) -> bytes:
    """A file of these, each with its right length and checksum."""
    parts = [SIGNATURE]
    for kind, content in chunks:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        parts += [struct.pack(">I", len(content)), kind, content, checksum]
    return b"".join(parts)


def split(data: bytes) -> list[Chunk]:
    """Those of a file, as far as it holds whole ones; checksums are not looked at."""
    chunks, offset = [], len(SIGNATURE)
    while offset + 12 <= len(data):
        length = int.from_bytes(data[offset : offset + 4], "big")
        chunks.append(Chunk(data[offset + 4 : offset + 8], data[offset + 8 : offset + 8 + length]))
        offset += 12 + length
    return chunks


def header(
    width: int, height: int, *, bits: int = 8, color_type: int = 0, interlaced: bool = False
) -> Chunk:
    fields = (width, height, bits, color_type, 0, 0, int(interlaced))
    return Chunk(b"IHDR", struct.pack(">IIBBBBB", *fields))


def gray(width: int, height: int) -> list[Chunk]:
    """A black picture."""
    pixels = zlib.compress(bytes((width + 1) * height))
    return [header(width, height), Chunk(b"IDAT", pixels), Chunk(b"IEND", b"")]


def interlaced(levels: np.ndarray) -> bytes:
    """A file of uint8 `levels`, (height, width), in the seven passes of Adam7."""
    height, width = levels.shape
    rows = [
        b"\0" + row.tobytes()
        for x, y, across, down in _PASSES
        for row in np.ascontiguousarray(levels[y::down, x::across])
        if len(row)
    ]
    pixels = Chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return join([header(width, height, interlaced=True), pixels, Chunk(b"IEND", b"")])
