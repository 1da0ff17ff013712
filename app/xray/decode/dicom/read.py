"""Bytes of a DICOM file -> an 8-bit gray picture, as a viewer would show it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from app.xray.decode.dicom.data_set import read_file
from app.xray.decode.dicom.frame import read_frame
from app.xray.decode.dicom.grayscale import gray_table, palette_table
from app.xray.decode.dicom.header import read_header
from app.xray.decode.dicom.views import warnings_of
from app.xray.decode.levels import look_up, spread
from app.xray.decode.radiograph import Radiograph, is_flat, refuse_small
from app.xray.errors import TooManyPixels, UnusableImage, WrongModality

if TYPE_CHECKING:
    from app.xray.decode.dicom.elements import Elements
    from app.xray.decode.dicom.frame import Frame
    from app.xray.decode.dicom.header import FrameHeader

_PROJECTIONS: Final = ("CR", "DX", "RG", "RF", "XA", "OT")
"""Modalities (PS3.3, C.7.3.1.1.1) that a chest X-ray comes with; OT is that of many secondary
captures, others of which name none."""
_CODE: Final = re.compile("[A-Z0-9_ ]{1,16}")
"""A code string (PS3.5, section 6.2): what else stands there is not repeated in a message."""
_FLAT_AFTER_WINDOW: Final = (
    "The DICOM file's window (WindowCenter, WindowWidth) leaves one flat gray of the picture."
)


def read_dicom(data: bytes, *, max_pixels: int) -> Radiograph:
    """Decode the one picture of a DICOM file, "L", of its own size.

    Gray levels take the grayscale pipeline (`grayscale.gray_table`); colors become luminance as
    Pillow has it (ITU-R BT.601). Warnings say what the file has wrong or says against trusting an
    answer (`views.warnings_of`).

    Args:
        data: the whole file.
        max_pixels: the largest Rows x Columns; held against the header, before decoding.

    Raises:
        WrongModality: no projection X-ray; names the modality.
        TooManyPixels: more than `max_pixels`.
        UnusableImage: truncated, corrupt, of several frames, of too few pixels, without pixel data,
            flat after its window, or of a kind or transfer syntax that is not read.
    """
    # A deflated file of at most that many pixels: 16 bits each, and as much again for the rest.
    file = read_file(data, max_inflated=4 * max_pixels + (1 << 20))
    elements = file.elements
    _refuse_other_modalities(elements)
    if isinstance(file.damage, UnusableImage):
        raise file.damage
    if file.damage is not None:
        raise UnusableImage("The DICOM file is truncated or corrupt.") from file.damage
    if (elements.number("NumberOfFrames") or 1) > 1:
        raise UnusableImage("The DICOM file has several frames; send a single picture.")
    if "PixelData" not in elements:
        raise UnusableImage("The DICOM file holds no picture: it has no PixelData.")
    header = read_header(elements)
    if header.rows * header.columns > max_pixels:
        raise TooManyPixels(
            f"The picture declares {header.columns} x {header.rows} pixels; "
            f"at most {max_pixels:,} are decoded."
        )
    refuse_small(header.columns, header.rows)
    image, warnings = _to_gray(read_frame(file, header), header, elements)
    return Radiograph(image, (*warnings, *warnings_of(elements)))


def _refuse_other_modalities(elements: Elements) -> None:
    modality = elements.text("Modality")
    if modality in {"", *_PROJECTIONS}:
        return
    name = modality if _CODE.fullmatch(modality) else "no code that DICOM allows"
    raise WrongModality(
        f"The DICOM file's modality is {name}; only X-rays as {', '.join(_PROJECTIONS)} are read."
    )


def _to_gray(
    frame: Frame, header: FrameHeader, elements: Elements
) -> tuple[Image.Image, tuple[str, ...]]:
    levels, bits, signed = frame.levels, header.bits_stored, header.signed
    if frame.colors == "palette":
        colors = palette_table(elements, bits=bits, signed=signed)
        luminance = np.asarray(Image.fromarray(colors[None]).convert("L"))[0]
        return Image.fromarray(look_up(luminance, levels)), ()
    if frame.colors == "gray":
        table = gray_table(levels, elements, bits=bits, signed=signed)
        image = Image.fromarray(look_up(table.levels, levels))
        if table.by_window and is_flat(image):
            raise UnusableImage(_FLAT_AFTER_WINDOW)
        return image, table.warnings
    if bits != 8 or levels.dtype != np.uint8:
        levels = look_up(spread(int(levels.min()), int(levels.max()), 1 << bits), levels)
    mode = "RGB" if frame.colors == "rgb" else "YCbCr"
    size = header.columns, header.rows
    image = Image.frombuffer(mode, size, np.ascontiguousarray(levels), "raw", mode, 0, 1)
    return image.convert("RGB").convert("L"), ()
