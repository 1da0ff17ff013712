"""Mutations of PNG files under right lengths and checksums."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from benchmarks.rig.corpus import chunks
from benchmarks.rig.corpus.chunks import Chunk
from benchmarks.rig.corpus.spoiling import SIZES, spoiled

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Mutation = Callable[[random.Random, bytes], bytes]

_KINDS: Final = (
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB tEXt zTXt iTXt bKGD pHYs eXIf acTL fcTL"
    b" fdAT tESt"
).split()


def spoil_chunk(chance: random.Random, data: bytes) -> bytes:
    parts = chunks.split(data)
    if not parts:
        return data
    index = chance.randrange(len(parts))
    parts[index] = Chunk(parts[index].kind, spoiled(chance, parts[index].content))
    return chunks.join(parts)


def move_chunk(chance: random.Random, data: bytes) -> bytes:
    """Delete one, say it twice, or put it elsewhere."""
    parts = chunks.split(data)
    if not parts:
        return data
    chosen = parts.pop(chance.randrange(len(parts)))
    for _ in range(chance.choice((0, 1, 2, 30))):
        parts.insert(chance.randint(0, len(parts)), chosen)
    return chunks.join(parts)


def add_chunk(chance: random.Random, data: bytes) -> bytes:
    parts = chunks.split(data)
    content = chance.choice((b"", chance.randbytes(26), b"k\0\0" + zlib.compress(bytes(5000))))
    parts.insert(chance.randint(0, len(parts)), Chunk(chance.choice(_KINDS), content))
    return chunks.join(parts)


def rewrite_header(chance: random.Random, data: bytes) -> bytes:
    """Another size, depth, color type or interlacing."""
    parts = chunks.split(data)
    if not parts or len(parts[0].content) != 13:
        return data
    fields = list(struct.unpack(">IIBBBBB", parts[0].content))
    index = chance.randrange(7)
    fields[index] = chance.choice(SIZES) if index < 2 else chance.choice((0, 1, 2, 3, 4, 6, 8, 16))
    parts[0] = Chunk(parts[0].kind, struct.pack(">IIBBBBB", *fields))
    return chunks.join(parts)


def spoil_pixels(chance: random.Random, data: bytes) -> bytes:
    """Rows of a PNG are cut off, too many, or of a filter that there is not."""
    parts = chunks.split(data)
    for index, (kind, content) in enumerate(parts):
        if kind == b"IDAT":
            try:
                rows = bytearray(zlib.decompress(content))
            except zlib.error:
                continue
            if rows:
                rows[chance.randrange(len(rows))] = chance.randrange(256)
            rows = rows[: chance.choice((1, len(rows) // 2, len(rows)))] * chance.choice((1, 1, 5))
            parts[index] = Chunk(kind, zlib.compress(bytes(rows), 1))
            break
    return chunks.join(parts)


MUTATIONS: Final[tuple[Mutation, ...]] = (
    spoil_chunk,
    move_chunk,
    add_chunk,
    rewrite_header,
    spoil_pixels,
)
