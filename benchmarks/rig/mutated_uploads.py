"""Uploads for a soak: mutated files, and sound ones between them."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from benchmarks.rig.client import Request
from benchmarks.rig.corpus import mutated
from benchmarks.rig.pictures import form, gray_jpeg
from benchmarks.rig.wire import BYTES, FORM, post

if TYPE_CHECKING:
    from collections.abc import Iterator

SOUND, MUTATED = "sound", "mutated"
SOUND_EVERY = 50
SOUND_SIDE = 512


def uploads(count: int, seed: int) -> Iterator[Request]:
    """`count` mutated files as forms and as bodies in turn, and sound ones, two alike.

    Each is named "KIND NUMBER SEED", the number that of the mutated file from 0: with these
    `mutated` draws it again.
    """
    picture = gray_jpeg(SOUND_SIDE, SOUND_SIDE)
    sound = cycle([post(form(picture)), post(picture, BYTES)])
    for number, data in enumerate(mutated(count, seed)):
        request = post(form(data), FORM) if number % 2 else post(data, BYTES)
        yield Request(f"{MUTATED} {number} {seed}", request)
        if number % SOUND_EVERY == SOUND_EVERY - 1:
            yield Request(f"{SOUND} {number} {seed}", next(sound))


def kind_of(name: str) -> str:
    """The first word of an upload's name."""
    return name.split()[0]
