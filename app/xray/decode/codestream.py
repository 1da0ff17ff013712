"""What a compressed codestream declares of itself, read before any decoder sees it."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from app.xray.errors import UnusableImage

if TYPE_CHECKING:
    from collections.abc import Iterator

START_OF_SCAN: Final = b"\xff\xda"
JPEG_2000_START: Final = b"\xff\x4f\xff\x51"
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of frame headers (ITU-T T.81, table B.1)."""
MAX_SCANS: Final = 100
"""A progressive JPEG has about ten; each costs a pass over all pixels, however few its bytes."""

MAX_PARTS: Final = 20_000
"""Segments of a JPEG, chunks of a PNG: each costs Python a microsecond, however few its bytes. A
PNG of 20 MB in chunks of 8 kB has 2,500."""
JPEG_START: Final = b"\xff\xd8"
_MARKER: Final = re.compile(b"\xff[^\x00\xff]", re.DOTALL)
"""Fill bytes may stand before a marker (T.81, B.1.1.2). Some writers leave other bytes there, which
libjpeg and all that stand on it pass over."""
LOSSLESS: Final = 0xC3
JPEG_LS: Final = 0xF7
_READ_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2, LOSSLESS, JPEG_LS})
"""JPEG baseline, extended, progressive and lossless, and JPEG-LS."""
_OTHER_FRAMES: Final = FRAMES - _READ_FRAMES
_MAX_TILES: Final = 4096
"""Each costs a decoder kilobytes, even an empty one; radiographs have one tile, or dozens."""


class Declared(NamedTuple):
    """Columns, rows, samples a pixel and bits a sample; which of the three standards it is of."""

    columns: int
    rows: int
    samples: int
    bits: int
    kind: Literal["JPEG", "JPEG-LS", "JPEG 2000"] = "JPEG"
    is_lossless: bool = False


def declared(codestream: bytes) -> Declared:
    """What the head of a JPEG, JPEG-LS or JPEG 2000 codestream promises.

    Sources: ITU-T T.81, B.2.2 (SOF); ITU-T T.87, C.2.2 (SOF55); ITU-T T.800, A.5.1 (SIZ).

    Raises:
        UnusableImage: it is none of them or cut off; it is hierarchical or coded
            arithmetically; its samples differ in size or depth; it has more
            than `MAX_SCANS` scans or thousands of tiles.
    """
    try:
        if codestream.startswith(JPEG_2000_START):
            return _jpeg_2000(codestream)
        return _jpeg(codestream)
    except (struct.error, LookupError, ValueError) as error:
        raise UnusableImage("The compressed picture's header is cut off.") from error


def _jpeg(codestream: bytes) -> Declared:
    if codestream.count(START_OF_SCAN) > MAX_SCANS:
        raise UnusableImage(f"The compressed picture has more than {MAX_SCANS} scans.")
    for marker, offset in markers(codestream):
        if marker in _READ_FRAMES:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", codestream, offset)
            kind: Literal["JPEG", "JPEG-LS"] = "JPEG-LS" if marker == JPEG_LS else "JPEG"
            return Declared(columns, rows, samples, bits, kind, marker == LOSSLESS)
        if marker in _OTHER_FRAMES:
            raise UnusableImage("The compressed picture is coded in a way that DICOM rules out.")
    raise UnusableImage("The compressed picture's header is corrupt.")


def markers(codestream: bytes) -> Iterator[tuple[int, int]]:
    """Each marker before the first scan, and where behind its length its content starts.

    Raises:
        UnusableImage: another start than that of a JPEG; more than `MAX_PARTS` markers.
        IndexError, struct.error: it is cut off.
    """
    if not codestream.startswith(JPEG_START):
        raise UnusableImage("The compressed picture is of another kind than the file says.")
    for marker, start in segments(codestream):
        if marker == START_OF_SCAN[1]:
            return
        yield marker, start + 4


def segments(codestream: bytes) -> Iterator[tuple[int, int]]:
    """Each marker of a JPEG up to the first scan, which is the last, and where the marker starts.

    Raises:
        UnusableImage: more than `MAX_PARTS` of them.
        IndexError, struct.error: it is cut off.
    """
    offset = len(JPEG_START)
    for _ in range(MAX_PARTS):
        found = _MARKER.search(codestream, offset)
        if found is None:
            raise IndexError("no further marker")
        offset = found.start()
        marker = codestream[offset + 1]
        yield marker, offset
        if marker == START_OF_SCAN[1]:
            return
        offset += 2 + struct.unpack_from(">H", codestream, offset + 2)[0]
    raise UnusableImage(f"The compressed picture has more than {MAX_PARTS:,} segments.")


def _jpeg_2000(codestream: bytes) -> Declared:
    # From the fourth byte of the segment on: its length, then the profile.
    right, bottom, left, top, *tiles, samples = struct.unpack_from(">8IH", codestream, 8)
    tile_columns, tile_rows, tile_left, tile_top = tiles
    if not (tile_columns and tile_rows):
        raise UnusableImage("The compressed picture's header is corrupt.")
    across = -(-(right - tile_left) // tile_columns)
    down = -(-(bottom - tile_top) // tile_rows)
    if across * down > _MAX_TILES:
        raise UnusableImage(f"The compressed picture has more than {_MAX_TILES:,} tiles.")
    kinds = {codestream[42 + 3 * index : 45 + 3 * index] for index in range(samples)}
    depth, *subsampling = kinds.pop()
    if kinds or subsampling != [1, 1]:
        raise UnusableImage("The compressed picture's samples differ in size or depth.")
    return Declared(right - left, bottom - top, samples, (depth & 0x7F) + 1, "JPEG 2000")
