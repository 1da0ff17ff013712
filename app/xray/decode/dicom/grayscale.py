"""Levels as a file stores them -> 0 to 255, each by a table of all levels that there can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.xray.decode.levels import _ROWS_AT_ONCE, to_bytes
from app.xray.errors import UnusableImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.decode.dicom.elements import Elements


def gray_table(
    levels: NDArray[np.uint8] | NDArray[np.uint16], elements: Elements, *, bits: int, signed: bool
) -> NDArray[np.uint8]:
    """uint8 (2 ** bits,): what each stored level of a grayscale picture is shown as.

    The grayscale pipeline of PS3.4, annex N.2.1: Modality LUT or rescale (PS3.3, C.11.1), then
    the first VOI LUT, else the first window (PS3.3, C.11.2), its output range over 0 to 255.
    Where the file gives neither, 8 bits are shown over the range that they can have, like those
    of a PNG file, and more bits over the range that occurs in the picture, padding
    (PS3.3, C.7.5.1.1.2) left out, like 16 bits of a PNG file. MONOCHROME1 is inverted.

    Args:
        levels: the picture, each level as its bits read unsigned.
        elements: the file's.
        bits: how many each level has.
        signed: whether they are two's complement.

    Raises:
        UnusableImage: a LUT, window or rescaling that the standard does not allow.
    """
    stored = _stored_values(bits, signed=signed)
    with np.errstate(all="ignore"):  # of numbers that are absurd, not of a picture
        values = _modality(stored, elements)
        shown = _value_of_interest(values, elements)
        if shown is None:
            occurs = _occurring(levels, stored, elements, signed=signed)
            seen = values if bits == 8 else values[occurs]
            shown = to_bytes(values, float(seen.min()), float(seen.max()))
    inverted = elements.text("PhotometricInterpretation") == "MONOCHROME1"
    return np.uint8(255) - shown if inverted else shown


def palette_table(elements: Elements, *, bits: int, signed: bool) -> NDArray[np.uint8]:
    """uint8 (2 ** bits, 3): the color of each stored level (PS3.3, C.7.6.3.1.5 and 6).

    Raises:
        UnusableImage: the palette is missing, segmented, or shorter than it says.
    """
    stored = _stored_values(bits, signed=signed)
    channels = []
    for color in ("Red", "Green", "Blue"):
        name = f"{color}PaletteColorLookupTable"
        entries, depth = _apply_lut(stored, elements, f"{name}Descriptor", f"{name}Data")
        channels.append((entries >> (depth - 8)).astype(np.uint8))
    return np.stack(channels, axis=1)


def _stored_values(bits: int, *, signed: bool) -> NDArray[np.float64]:
    """float64 (2 ** bits,): the number that each pattern of bits stands for."""
    stored = np.arange(1 << bits, dtype=np.float64)
    if signed:
        stored[1 << (bits - 1) :] -= 1 << bits
    return stored


def _modality(stored: NDArray[np.float64], elements: Elements) -> NDArray[np.float64]:
    lut = elements.first_item("ModalityLUTSequence")
    # Where intensities are logarithmic, or ready for display, it makes them linear for measuring.
    is_for_measuring = elements.text("PixelIntensityRelationship") in {"LOG", "DISP"}
    if lut is not None and not is_for_measuring:
        return _apply_lut(stored, lut, "LUTDescriptor", "LUTData")[0].astype(np.float64)
    slope, intercept = elements.number("RescaleSlope"), elements.number("RescaleIntercept")
    values = stored * (1 if slope is None else slope) + (intercept or 0)
    if slope == 0 or not np.isfinite(values).all():
        raise UnusableImage("The DICOM file's rescaling leaves nothing of the picture.")
    return values


def _value_of_interest(values: NDArray[np.float64], elements: Elements) -> NDArray[np.uint8] | None:
    lut = elements.first_item("VOILUTSequence")
    if lut is not None and "LUTData" in lut:
        entries, depth = _apply_lut(values, lut, "LUTDescriptor", "LUTData")
        return to_bytes(entries.astype(np.float64), 0, (1 << depth) - 1)
    center, width = elements.number("WindowCenter"), elements.number("WindowWidth")
    if center is None or width is None:
        return None
    return to_bytes(_window(values, center, width, elements.text("VOILUTFunction")), 0, 1)


def _window(
    values: NDArray[np.float64], center: float, width: float, function: str
) -> NDArray[np.float64]:
    """Where each value lies in the window, 0 to 1, and beyond where it lies outside.

    PS3.3, C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT).
    """
    if function in {"", "LINEAR"}:
        if width < 1:
            raise UnusableImage("The DICOM file's window is narrower than one level.")
        if width == 1:
            return (values > center - 0.5).astype(np.float64)
        return (values - (center - 0.5)) / (width - 1) + 0.5
    if width <= 0:
        raise UnusableImage("The DICOM file's window has no width.")
    if function == "LINEAR_EXACT":
        return (values - center) / width + 0.5
    if function == "SIGMOID":
        sigmoid: NDArray[np.float64] = 1 / (1 + np.exp(-4 * (values - center) / width))
        return sigmoid
    raise UnusableImage("The DICOM file's window is of an unknown function.")


def _apply_lut(
    values: NDArray[np.float64], elements: Elements, descriptor: str, data: str
) -> tuple[NDArray[np.uint16], int]:
    """uint16 (n,): the entry for each of `values`, and of how many bits the entries are.

    A descriptor holds the number of entries (0 for 65,536), the first value that is mapped, and
    the bits of an entry (PS3.3, C.11.1.1 and C.11.2.1.1). Lower values get the first entry,
    higher ones the last. Entries of 8 bits may stand in 8 bits or in 16.
    """
    words = elements.words(descriptor)
    if len(words) != 3:
        raise UnusableImage("The DICOM file has a lookup table that does not describe itself.")
    count, first, depth = int(words[0]) or 1 << 16, int(words[1]), int(words[2])
    entries = elements.words(data)
    if len(entries) < count and depth == 8:
        entries = entries.astype("<u2").view(np.uint8).astype(np.uint16)
    if not 8 <= depth <= 16 or len(entries) < count:
        raise UnusableImage("The DICOM file has a lookup table that is shorter than it says.")
    declared = elements.type_of(descriptor)  # not in implicit files
    signed = declared == "SS" or (declared != "US" and values.min() < 0)
    if signed and first >= 1 << 15:
        first -= 1 << 16
    rows = np.rint(values - first).clip(0, count - 1).astype(np.intp)
    return entries[:count].clip(0, (1 << depth) - 1)[rows], depth


def _occurring(
    levels: NDArray[np.uint8] | NDArray[np.uint16],
    stored: NDArray[np.float64],
    elements: Elements,
    *,
    signed: bool,
) -> NDArray[np.bool_]:
    """Which levels the picture has, its padding apart: bool (len(stored),)."""
    seen = np.zeros(len(stored), np.bool_)
    for row in range(0, len(levels), _ROWS_AT_ONCE):
        seen[levels[row : row + _ROWS_AT_ONCE]] = True
    padding = elements.integer("PixelPaddingValue")
    if padding is None:
        return seen
    limit = elements.integer("PixelPaddingRangeLimit")
    ends = (padding, padding if limit is None else limit)
    low, high = sorted(end - (1 << 16) * (signed and end >= 1 << 15) for end in ends)
    picture = seen & ~((low <= stored) & (stored <= high))
    return picture if picture.any() else seen
