"""Lookup tables of a DICOM file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.xray.errors import UnusableImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.decode.dicom.elements import Elements


class LookedUp(NamedTuple):
    """uint16 `entries`, one for each value that was looked up, and what the table says of them.

    Entries of the table are below 2 ** `bits`; the largest is `highest`. `is_short` where it has
    one entry less than it says.
    """

    entries: NDArray[np.uint16]
    bits: int
    highest: int
    is_short: bool


def is_empty(item: Elements, descriptor: str, data: str) -> bool:
    """Whether a lookup table has neither descriptor nor entries, as some writers leave it."""
    return descriptor not in item and data not in item


def apply_lut(
    values: NDArray[np.float64], elements: Elements, descriptor: str, data: str
) -> LookedUp:
    """Look `values` up in a table.

    A descriptor holds the number of entries (0 for 65,536), the first value that is mapped, and
    the bits of an entry (PS3.3, C.11.1.1 and C.11.2.1.1). Lower values get the first entry,
    higher ones the last. Entries of 8 bits may stand in 8 bits or in 16.

    Raises:
        UnusableImage: the table does not describe itself, or lacks more than its last entry.
    """
    words = elements.words(descriptor)
    if len(words) != 3:
        raise UnusableImage("The DICOM file has a lookup table that does not describe itself.")
    count, first, depth = int(words[0]) or 1 << 16, int(words[1]), int(words[2])
    entries = elements.words(data)
    if len(entries) < count - 1 and depth == 8:
        entries = entries.astype("<u2").view(np.uint8).astype(np.uint16)
    is_short = len(entries) == count - 1
    count -= is_short
    if not 8 <= depth <= 16 or not 0 < count <= len(entries):
        raise UnusableImage("The DICOM file has a lookup table that is shorter than it says.")
    declared = elements.type_of(descriptor)  # not in implicit files
    signed = declared == "SS" or (declared != "US" and values.min() < 0)
    if signed and first >= 1 << 15:
        first -= 1 << 16
    rows = np.rint(values - first).clip(0, count - 1).astype(np.intp)
    table = entries[:count].clip(0, (1 << depth) - 1)
    return LookedUp(table[rows], depth, int(table.max()), is_short)
