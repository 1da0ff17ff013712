"""Levels as a file stores them -> 0 to 255, each by a table of all levels that there can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from app.xray.decode.dicom.lut import apply_lut, is_empty
from app.xray.decode.levels import _ROWS_AT_ONCE, to_bytes
from app.xray.errors import UnusableImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.decode.dicom.elements import Elements

_DESCRIPTOR: Final = "LUTDescriptor"
_DATA: Final = "LUTData"
_FUNCTIONS: Final = frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"})
_ANGIOGRAPHY: Final = frozenset(
    f"1.2.840.10008.5.1.4.1.1.12.{kind}" for kind in ("1", "1.1", "2", "2.1", "3")
)
"""X-Ray Angiographic, Enhanced XA, X-Ray Radiofluoroscopic, Enhanced XRF, and the retired one of
two planes (PS3.4, annex B.5)."""
_FOR_MEASURING: Final = frozenset({"LOG", "DISP"})


class GrayTable(NamedTuple):
    """uint8 (2 ** bits,), what each stored level is shown as, and what was wrong with the file.

    `by_window` where it is a window of the file's that it was made by.
    """

    levels: NDArray[np.uint8]
    warnings: tuple[str, ...]
    by_window: bool


def gray_table(
    levels: NDArray[np.uint8] | NDArray[np.uint16], elements: Elements, *, bits: int, signed: bool
) -> GrayTable:
    """What each stored level of a grayscale picture is shown as.

    The grayscale pipeline of PS3.4, annex N.2.1: Modality LUT or rescale (PS3.3, C.11.1), then
    the first VOI LUT, else the first window (PS3.3, C.11.2), its output range over 0 to 255.
    Where the file gives neither, 8 bits are shown over the range that they can have, like those
    of a PNG file, and more bits over the range that occurs in the picture, padding
    (PS3.3, C.7.5.1.1.2) left out, like 16 bits of a PNG file. MONOCHROME1 is inverted.

    A window that means nothing is left out as though it were not there, with a warning.

    Args:
        levels: the picture, each level as its bits read unsigned.
        elements: the file's.
        bits: how many each level has.
        signed: whether they are two's complement.

    Raises:
        UnusableImage: a LUT or rescaling that the standard does not allow.
    """
    stored = _stored_values(bits, signed=signed)
    warnings: list[str] = []
    by_window = False
    with np.errstate(all="ignore"):  # of numbers that are absurd, not of a picture
        values = _modality(stored, elements, warnings)
        shown = _by_lut(values, elements, warnings)
        if shown is None:
            shown = _by_window(values, elements, warnings)
            by_window = shown is not None
        if shown is None:
            occurs = _occurring(levels, stored, elements, signed=signed)
            seen = values if bits == 8 else values[occurs]
            shown = to_bytes(values, float(seen.min()), float(seen.max()))
    inverted = elements.text("PhotometricInterpretation") == "MONOCHROME1"
    return GrayTable(np.uint8(255) - shown if inverted else shown, tuple(warnings), by_window)


def palette_table(elements: Elements, *, bits: int, signed: bool) -> NDArray[np.uint8]:
    """uint8 (2 ** bits, 3): the color of each stored level (PS3.3, C.7.6.3.1.5 and 6).

    Raises:
        UnusableImage: the palette is missing, segmented, or shorter than it says.
    """
    stored = _stored_values(bits, signed=signed)
    channels = []
    for color in ("Red", "Green", "Blue"):
        name = f"{color}PaletteColorLookupTable"
        looked_up = apply_lut(stored, elements, f"{name}Descriptor", f"{name}Data")
        channels.append((looked_up.entries >> (looked_up.bits - 8)).astype(np.uint8))
    return np.stack(channels, axis=1)


def _stored_values(bits: int, *, signed: bool) -> NDArray[np.float64]:
    """float64 (2 ** bits,): the number that each pattern of bits stands for."""
    stored = np.arange(1 << bits, dtype=np.float64)
    if signed:
        stored[1 << (bits - 1) :] -= 1 << bits
    return stored


def _modality(
    stored: NDArray[np.float64], elements: Elements, warnings: list[str]
) -> NDArray[np.float64]:
    lut = elements.first_item("ModalityLUTSequence")
    has_lut = lut is not None and not is_empty(lut, _DESCRIPTOR, _DATA)
    if lut is not None and has_lut and not _is_for_measuring(elements):
        looked_up = apply_lut(stored, lut, _DESCRIPTOR, _DATA)
        if looked_up.is_short:
            warnings.append(_lacks_an_entry("ModalityLUTSequence"))
        return looked_up.entries.astype(np.float64)
    slope, intercept = elements.number("RescaleSlope"), elements.number("RescaleIntercept")
    values = stored * (1 if slope is None else slope) + (intercept or 0)
    if slope == 0 or not np.isfinite(values).all():
        raise UnusableImage("The DICOM file's rescaling leaves nothing of the picture.")
    return values


def _is_for_measuring(elements: Elements) -> bool:
    """Whether the Modality LUT makes intensities linear for measuring, and is not to be shown.

    So the X-ray angiography and fluoroscopy modules have it (PS3.3, C.8.7.1.1.2), and no other.
    """
    kind = elements.text("SOPClassUID")
    is_standard = kind.startswith("1.2.840.10008.")
    is_angiography = kind in _ANGIOGRAPHY or (
        not is_standard and elements.text("Modality") in {"XA", "RF"}
    )
    return is_angiography and elements.text("PixelIntensityRelationship") in _FOR_MEASURING


def _by_lut(
    values: NDArray[np.float64], elements: Elements, warnings: list[str]
) -> NDArray[np.uint8] | None:
    lut = elements.first_item("VOILUTSequence")
    if lut is None or _DATA not in lut:
        return None
    looked_up = apply_lut(values, lut, _DESCRIPTOR, _DATA)
    if looked_up.is_short:
        warnings.append(_lacks_an_entry("VOILUTSequence"))
    white = (1 << looked_up.bits) - 1
    if 0 < looked_up.highest.bit_length() < looked_up.bits:
        white = looked_up.highest
        warnings.append(
            "The DICOM file's VOILUTSequence has entries of fewer bits than it says; its highest "
            "entry is shown as white."
        )
    return to_bytes(looked_up.entries.astype(np.float64), 0, white)


def _by_window(
    values: NDArray[np.float64], elements: Elements, warnings: list[str]
) -> NDArray[np.uint8] | None:
    function = elements.text("VOILUTFunction")
    window = _usable_window(elements, function.upper(), warnings)
    if window is None:
        return None
    if function not in {"", *_FUNCTIONS}:
        known = function.upper() if function.upper() in _FUNCTIONS else "LINEAR"
        warnings.append(
            f"The DICOM file's VOILUTFunction is none of the standard's; it is taken for {known}."
        )
        function = known
    return to_bytes(_window(values, *window, function or "LINEAR"), 0, 1)


def _lacks_an_entry(keyword: str) -> str:
    return f"The DICOM file's {keyword} has one entry less than it says."


def _usable_window(
    elements: Elements, function: str, warnings: list[str]
) -> tuple[float, float] | None:
    """Center and width, None where there are none, or none that mean anything."""
    try:
        center, width = elements.number("WindowCenter"), elements.number("WindowWidth")
    except UnusableImage as error:
        warnings.append(f"{error} The picture is shown without its window.")
        return None
    if center is None or width is None:
        return None
    # By the formula of each function (PS3.3, C.11.2.1.2.1 and C.11.2.1.3).
    if width <= 0 or (width < 1 and function not in {"LINEAR_EXACT", "SIGMOID"}):
        warnings.append(
            "The DICOM file's WindowWidth is narrower than one level; the picture is shown without "
            "its window."
        )
        return None
    return center, width


def _window(
    values: NDArray[np.float64], center: float, width: float, function: str
) -> NDArray[np.float64]:
    """Where each value lies in the window, 0 to 1, and beyond where it lies outside.

    PS3.3, C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT).
    """
    if function == "LINEAR_EXACT":
        return (values - center) / width + 0.5
    if function == "SIGMOID":
        sigmoid: NDArray[np.float64] = 1 / (1 + np.exp(-4 * (values - center) / width))
        return sigmoid
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return (values - (center - 0.5)) / (width - 1) + 0.5


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
