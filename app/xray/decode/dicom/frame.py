"""The one frame of a DICOM file -> its levels as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from app.xray.decode.codestream import JPEG_2000_START, MAX_PARTS, declared
from app.xray.decode.dicom.codecs import (
    decode_deep_jpeg,
    decode_jpeg,
    decode_jpeg_ls,
    decode_run_lengths,
)
from app.xray.decode.dicom.colors import Codec, is_rgb
from app.xray.decode.dicom.data_set import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from app.xray.decode.dicom.elements import unusable
from app.xray.errors import UnusableImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from app.xray.decode.codestream import Declared
    from app.xray.decode.dicom.data_set import DicomFile
    from app.xray.decode.dicom.header import FrameHeader

    Levels = NDArray[np.uint8] | NDArray[np.uint16]

_NATIVE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG})
_RLE: Final = "1.2.840.10008.1.2.5"
_JPEG_2000: Final = "1.2.840.10008.1.2.4.91"
_JPEG_FAMILY: Final = frozenset(
    {
        "1.2.840.10008.1.2.4.50",  # JPEG baseline
        "1.2.840.10008.1.2.4.51",  # JPEG extended
        "1.2.840.10008.1.2.4.57",  # JPEG lossless
        "1.2.840.10008.1.2.4.70",  # JPEG lossless, first-order prediction
        "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
        "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
        "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
        _JPEG_2000,
    }
)
"""Which of them it is the codestream says, as some files name the wrong one."""
TRANSFER_SYNTAXES: Final = _NATIVE | _JPEG_FAMILY | {_RLE}
"""UIDs of all transfer syntaxes that are read (PS3.6, annex A)."""
_NEWER: Final = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
"""Transfer syntaxes of PS3.6 that pydicom has no name for."""
_JP2_START: Final = b"\0\0\0\x0cjP  "
_ITEM: Final = b"\xfe\xff\x00\xe0"
_SPOILT: Final = "The DICOM file's pixel data are cut off or corrupt."


class Frame(NamedTuple):
    """`levels`, uint8 or uint16 of shape (rows, columns) or (rows, columns, 3), and their colors.

    Each level is its stored bits read unsigned, below 2 ** bits_stored.
    """

    levels: Levels
    colors: Literal["gray", "palette", "rgb", "ycbcr"]


def read_frame(file: DicomFile, header: FrameHeader) -> Frame:
    """Decode the file's one frame.

    Raises:
        UnusableImage: its transfer syntax is not read; the pixel data are missing, cut off or
            corrupt, or of another size than the header says.
    """
    pixel_data = file.elements.data("PixelData")
    # Codecs hand over samples, which have no bits above the highest stored one to shift away.
    shift = header.high_bit + 1 - header.bits_stored
    codestream = b""
    if file.transfer_syntax in _NATIVE:
        if file.is_assumed and pixel_data.startswith(_ITEM):
            raise UnusableImage(
                "The DICOM file names no transfer syntax, and its pixel data are compressed."
            )
        codec = Codec.NATIVE
        with unusable(_SPOILT):
            levels = _decode(file, pixel_data, header)
    elif file.transfer_syntax == _RLE:
        codec = Codec.RLE
        with unusable(_SPOILT):
            levels = decode_run_lengths(
                _codestream(pixel_data),
                rows=header.rows,
                columns=header.columns,
                samples=header.samples,
                bits_allocated=header.bits_allocated,
            )
    elif file.transfer_syntax in _JPEG_FAMILY:
        shift = 0
        with unusable(_SPOILT):
            codestream = _codestream(pixel_data)
        codec = _codec_of(_checked(codestream, header))
        with unusable(_SPOILT):
            levels = _decompress(codec, codestream, file, header)
    else:
        raise UnusableImage(_unread(file.transfer_syntax))
    masked = _masked(levels, header, shift)
    if header.samples == 1:
        return Frame(masked, "palette" if header.photometric == "PALETTE COLOR" else "gray")
    rgb = is_rgb(codec, header.photometric, codestream)
    return Frame(masked, "rgb" if rgb else "ycbcr")


def _decompress(
    codec: Codec, codestream: bytes, file: DicomFile, header: FrameHeader
) -> NDArray[Any]:
    if codec is Codec.JPEG_2000:
        from pydicom.encaps import encapsulate

        return _decode(file, encapsulate([codestream]), header)  # no more than what was checked
    decoders = {Codec.JPEG: decode_jpeg, Codec.JPEG_LS: decode_jpeg_ls}
    levels = decoders.get(codec, decode_deep_jpeg)(codestream)
    shape = (header.rows, header.columns, header.samples)[: 2 + (header.samples > 1)]
    return levels.reshape(shape)


def _codec_of(found: Declared) -> Codec:
    if found.kind != "JPEG":
        return Codec.JPEG_2000 if found.kind == "JPEG 2000" else Codec.JPEG_LS
    return Codec.JPEG if found.bits == 8 and not found.is_lossless else Codec.JPEG_DEEP


def _decode(file: DicomFile, pixel_data: bytes, header: FrameHeader) -> NDArray[Any]:
    """Have pydicom decode native pixel data, or JPEG 2000, the latter by one plugin.

    So a picture does not depend on what else is installed.
    """
    from pydicom.pixels.decoders.base import get_decoder

    is_native = file.transfer_syntax in _NATIVE
    options: dict[str, Any] = {
        "rows": header.rows,
        "columns": header.columns,
        "samples_per_pixel": header.samples,
        "photometric_interpretation": header.photometric,
        "planar_configuration": header.planar,
        "bits_allocated": header.bits_allocated,
        "bits_stored": header.bits_stored,
        "pixel_representation": int(header.signed),
        "pixel_keyword": "PixelData",
        "pixel_vr": file.elements.type_of("PixelData"),  # matters for 8 bits, big-endian
        "number_of_frames": 1,
        "allow_excess_frames": False,
    }
    if is_native:  # no copies: spare bits are masked later
        options |= {"view_only": True, "correct_unused_bits": False}
    levels, _ = get_decoder(file.transfer_syntax if is_native else _JPEG_2000).as_array(
        pixel_data,
        index=0,
        raw=True,  # colors as they are stored: Pillow turns them gray in less memory
        decoding_plugin="" if is_native else "pylibjpeg",
        **options,
    )
    return levels


def _masked(levels: NDArray[Any], header: FrameHeader, shift: int = 0) -> Levels:
    """The bits that are stored, read unsigned; what else stands beside them is no picture."""
    if header.bits_stored > 8 * levels.dtype.itemsize:  # a codestream of fewer bits than declared
        levels = levels.astype(f"{levels.dtype.kind}2")
    unsigned = levels.view(levels.dtype.str.replace("i", "u"))
    if shift:
        unsigned = unsigned >> shift
    if header.bits_stored < 8 * unsigned.dtype.itemsize:
        unsigned = unsigned & ((1 << header.bits_stored) - 1)
    return unsigned


def _codestream(pixel_data: bytes) -> bytes:
    """The one frame, its fragments joined (PS3.5, annex A.4).

    Some writers leave the boxes of a JP2 file around JPEG 2000, against annex A.4.4.
    """
    from pydicom.encaps import get_frame

    if pixel_data.count(_ITEM) > MAX_PARTS:
        raise UnusableImage(f"The DICOM file's picture is in more than {MAX_PARTS:,} fragments.")
    frame = bytes(get_frame(pixel_data, 0, number_of_frames=1))
    return frame[frame.index(JPEG_2000_START) :] if frame.startswith(_JP2_START) else frame


def _checked(codestream: bytes, header: FrameHeader) -> Declared:
    """What the codestream declares, which has to be what the file does."""
    found = declared(codestream)
    if (found.columns, found.rows, found.samples) != (
        header.columns,
        header.rows,
        header.samples,
    ) or not 1 < found.bits <= header.bits_allocated:
        raise UnusableImage("The compressed picture is of another size than the DICOM file says.")
    return found


def _unread(transfer_syntax: str) -> str:
    from pydicom.uid import UID

    name = _NEWER.get(transfer_syntax) or UID(transfer_syntax).name
    if name == transfer_syntax:  # not registered: the sender's own words
        return "The DICOM file names no transfer syntax that the standard knows."
    return f"The DICOM file's transfer syntax, {name}, is not read."
