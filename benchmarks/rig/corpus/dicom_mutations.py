"""Mutations of DICOM files that keep their elements where they are."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Mutation = Callable[[random.Random, bytes], bytes]

_WORDS: Final = (0, 1, 2, 3, 7, 8, 9, 12, 15, 16, 17, 31, 32, 64, 255, 256, 0x8000, 0xFFFF)
_TEXTS: Final = (b"nan", b"inf", b"-1", b"0", b"1e308", b"1e-99", b"99999", b"\\", b"x")
_ELEMENTS: Final = (0x02, 0x04, 0x06, 0x08, 0x10, 0x11, 0x100, 0x101, 0x102, 0x103, 0x120)
_DECIMALS: Final = (0x08, 0x1050, 0x1051, 0x1052, 0x1053, 0x1056)


def rewrite_word(chance: random.Random, data: bytes) -> bytes:
    """Rows, Columns, BitsStored and their like, in a DICOM file of any of its codings."""
    order = ">" if chance.random() < 0.1 else "<"
    start = data.find(struct.pack(f"{order}HH", 0x28, chance.choice(_ELEMENTS)))
    if start < 0:
        return data
    word = struct.pack(f"{order}H", chance.choice(_WORDS))
    return data[: start + 8] + word + data[start + 10 :]


def rewrite_decimal(chance: random.Random, data: bytes) -> bytes:
    """A window, a rescaling or a number of frames that is none."""
    start = data.find(struct.pack("<HH", 0x28, chance.choice(_DECIMALS)))
    if not 0 <= start <= len(data) - 8:
        return data
    length = data[start + 6]
    text = chance.choice(_TEXTS)[:length].ljust(length)
    return data[: start + 8] + text + data[start + 8 + length :]


MUTATIONS: Final[tuple[Mutation, ...]] = (rewrite_word, rewrite_word, rewrite_decimal)
