"""What a picture looks like in 512 bits, and which pictures look the same.

The difference hash (Krawetz, "Kind of Like That", hackerfactor.com, 2013: is the next pixel
brighter?), on a finer grid, across and down, of the equalised picture: X-rays look so alike that
64 bits cannot tell them apart, and a change of brightness must not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

GRID: Final = 16
BITS: Final = 2 * GRID * GRID

NEAR: Final = 44
"""Two pictures that differ in fewer bits are one picture, saved twice.

Between what `tests/training/data/audit/test_fingerprints.py` holds on real X-rays: copies at
quality 50, 10 % larger or smaller, half as large, darker or brighter stay below it, no two
different files come nearer than 55.
"""

ALIKE: Final = 72
"""Below it a person should look: a crop of some per cent, or two people who stood alike."""

_EQUALISED_SIDE: Final = 256
"""The picture is made so small before it is equalised: the time no longer depends on its size."""
_STEP: Final = 1.0
"""By how many of 255 levels a cell must be brighter; less is what JPEG makes of an even area."""
_FEATURELESS: Final = BITS // 8
_ROWS_AT_ONCE: Final = 64


def fingerprint(image: Image.Image) -> NDArray[np.uint64]:
    """uint64 (8,): the 512-bit difference hash of an 8-bit picture of any mode and size."""
    side = (_EQUALISED_SIDE, _EQUALISED_SIDE)
    gray = image.convert("L").resize(side, Image.Resampling.BOX)
    # Equalised, the noise of a wide even border is as steep as an edge: there the plain picture
    # must rise too.
    rises = _rises(ImageOps.equalize(gray)) & _rises(ImageOps.autocontrast(gray))
    bits: NDArray[np.uint64] = np.packbits(rises).view(np.uint64)
    return bits


def _rises(gray: Image.Image) -> NDArray[np.bool_]:
    """Whether each cell is darker than the next, across and then down: bool (32, 16)."""
    levels = gray.convert("F")
    wide = np.asarray(levels.resize((GRID + 1, GRID), Image.Resampling.BOX))
    tall = np.asarray(levels.resize((GRID, GRID + 1), Image.Resampling.BOX))
    across = wide[:, 1:] > wide[:, :-1] + _STEP
    down = tall[1:] > tall[:-1] + _STEP
    return np.concatenate([across, down])


def is_featureless(bits: NDArray[np.uint64]) -> bool:
    """Whether so little of a picture rises anywhere that its fingerprint tells nothing.

    Two even frames, one black and one gray, have the same fingerprint and are not the same.
    """
    return int(np.bitwise_count(bits).sum()) < _FEATURELESS


def find_pairs(
    fingerprints: NDArray[np.uint64], below: int = NEAR
) -> Iterator[tuple[int, int, int]]:
    """All (i, j, distance) with i < j and a Hamming distance of fewer than `below` bits.

    `fingerprints` is uint64 (n, 8). Every pair is compared; what is held at a time grows with n,
    not with its square.
    """
    words = np.ascontiguousarray(fingerprints.T)
    count = len(fingerprints)
    for start in range(0, count, _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, count)
        distances = np.zeros((stop - start, count - start), np.uint16)
        for word in words:
            distances += np.bitwise_count(word[start:stop, None] ^ word[None, start:])
        rows, columns = np.nonzero(distances < below)
        later = columns > rows
        rows, columns = rows[later], columns[later]
        found = distances[rows, columns]
        yield from zip(
            (rows + start).tolist(), (columns + start).tolist(), found.tolist(), strict=True
        )
