"""What becomes of the content of a part whose length and checksum stay right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

SIZES: Final = (0, 1, 31, 32, 33, 255, 256, 65_535, 0x7FFF_FFFF, 0xFFFF_FFFF)
"""Widths, heights and lengths that nobody expects."""


def spoiled(chance: random.Random, content: bytes) -> bytes:
    """One byte or the whole of it is other than it was."""
    if not content or chance.random() < 0.2:
        return chance.randbytes(chance.choice((0, 1, 2, 13, 26, 200)))
    place = chance.randrange(len(content))
    return content[:place] + bytes((chance.randrange(256),)) + content[place + 1 :]
