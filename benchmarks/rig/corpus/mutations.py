"""What is done to sound files until they are hostile."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from benchmarks.rig.corpus import dicom_mutations, jpeg_mutations, png_mutations
from benchmarks.rig.corpus.sound import seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Mutation = Callable[[random.Random, bytes], bytes]

EXTREMES: Final = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)
_LENGTHS: Final = (0, 1, 2, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
_OWN_FORMAT: Final = 0.4
"""How often a mutation keeps to the format, and so comes past its checks."""
_MOST: Final = 3


def mutated(count: int, seed: int) -> Iterator[bytes]:
    """`count` files, each a sound one after one to three mutations; the same for a `seed`."""
    chance = random.Random(seed)  # noqa: S311
    files = seeds()
    for _ in range(count):
        data = chance.choice(files)
        own = _ON_FORMAT[data[:3]]
        for _ in range(chance.randint(1, _MOST)):
            choices = own if chance.random() < _OWN_FORMAT else _ON_BYTES
            data = chance.choice(choices)(chance, data)
        yield data


def flip_bits(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        if changed:
            changed[_place(chance, data)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def set_bytes(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        if changed:
            changed[_place(chance, data)] = chance.choice(EXTREMES)
    return bytes(changed)


def rewrite_length(chance: random.Random, data: bytes) -> bytes:
    """An extreme number of 16 or 32 bits, of either byte order, at any place."""
    size = chance.choice((2, 4))
    number = chance.choice(_LENGTHS) % (1 << 8 * size)
    place = _place(chance, data)
    order = "big" if chance.random() < 0.5 else "little"
    return data[:place] + number.to_bytes(size, order) + data[place + size :]


def truncate(chance: random.Random, data: bytes) -> bytes:
    return data[: _place(chance, data)]


def join_tail(chance: random.Random, data: bytes) -> bytes:
    """The head of one file and the tail of another; or both whole, one behind the other."""
    other = chance.choice(seeds())
    if chance.random() < 0.3:
        return data + other
    return data[: _place(chance, data)] + other[_place(chance, other) :]


def delete_block(chance: random.Random, data: bytes) -> bytes:
    start, end = _block(chance, data)
    return data[:start] + data[end:]


def zero_block(chance: random.Random, data: bytes) -> bytes:
    start, end = _block(chance, data)
    return data[:start] + bytes(end - start) + data[end:]


def repeat_block(chance: random.Random, data: bytes) -> bytes:
    start, end = _block(chance, data)
    return data[:end] + data[start:end] * chance.choice((1, 1, 2, 50)) + data[end:]


def insert_noise(chance: random.Random, data: bytes) -> bytes:
    place = _place(chance, data)
    return data[:place] + chance.randbytes(chance.randint(1, 64)) + data[place:]


def _place(chance: random.Random, data: bytes) -> int:
    """Anywhere, but half of the time in the head, where most of what can break stands."""
    if not data:
        return 0
    return chance.randrange(min(len(data), 800) if chance.random() < 0.5 else len(data))


def _block(chance: random.Random, data: bytes) -> tuple[int, int]:
    start = _place(chance, data)
    return start, min(len(data), start + chance.choice((1, 2, 4, 8, 64, 512)))


_ON_BYTES: Final[tuple[Mutation, ...]] = (
    flip_bits,
    set_bytes,
    rewrite_length,
    truncate,
    join_tail,
    delete_block,
    zero_block,
    repeat_block,
    insert_noise,
)
_ON_FORMAT: Final[dict[bytes, tuple[Mutation, ...]]] = {
    b"\x89PN": png_mutations.MUTATIONS,
    b"\xff\xd8\xff": jpeg_mutations.MUTATIONS,
    b"\0\0\0": dicom_mutations.MUTATIONS,
}
"""By the first bytes of the sound file."""
