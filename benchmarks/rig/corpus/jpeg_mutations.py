"""Mutations of JPEG files under right lengths of segments."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from benchmarks.rig.corpus.spoiling import SIZES, spoiled

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Mutation = Callable[[random.Random, bytes], bytes]


def _segments(data: bytes) -> tuple[list[bytes], bytes]:
    """Those of a JPEG before its first scan, and the rest."""
    parts, offset = [], 2
    while data[offset : offset + 1] == b"\xff" and data[offset + 1 : offset + 2] != b"\xda":
        end = offset + 2 + max(2, int.from_bytes(data[offset + 2 : offset + 4], "big"))
        parts.append(data[offset:end])
        offset = end
    return parts, data[offset:]


def move_segment(chance: random.Random, data: bytes) -> bytes:
    """Shuffle them, delete one, or say it many times."""
    parts, rest = _segments(data)
    if not parts:
        return data
    if chance.random() < 0.3:
        chance.shuffle(parts)
    chosen = parts.pop(chance.randrange(len(parts)))
    for _ in range(chance.choice((0, 1, 2, 30))):
        parts.insert(chance.randint(0, len(parts)), chosen)
    return b"".join([data[:2], *parts, rest])


def spoil_segment(chance: random.Random, data: bytes) -> bytes:
    """Other content, or another marker, under the right length."""
    parts, rest = _segments(data)
    if not parts:
        return data
    index = chance.randrange(len(parts))
    marker, content = parts[index][:2], spoiled(chance, parts[index][4:])
    if chance.random() < 0.3:
        marker = bytes((0xFF, chance.randrange(0xC0, 0xFF)))
    parts[index] = marker + struct.pack(">H", len(content) + 2) + content
    return b"".join([data[:2], *parts, rest])


def add_frame(chance: random.Random, data: bytes) -> bytes:
    """A second frame header, or the first with another size."""
    parts, rest = _segments(data)
    size = struct.pack(">HH", chance.choice(SIZES) & 0xFFFF, chance.choice(SIZES) & 0xFFFF)
    for index, part in enumerate(parts):
        if part[1:2] in {b"\xc0", b"\xc1", b"\xc2"}:
            other = part[:5] + size + part[9:]
            parts[index : index + chance.randint(0, 1)] = [other]
            break
    return b"".join([data[:2], *parts, rest])


MUTATIONS: Final[tuple[Mutation, ...]] = (move_segment, spoil_segment, add_frame)
