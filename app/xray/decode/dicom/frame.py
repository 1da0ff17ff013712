"""The one frame of a DICOM file -> its levels as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from app.xray.decode.codestream import JPEG_2000_START, MAX_PARTS, declared
from app.xray.decode.dicom.codecs import decode_by_imagecodecs, decode_run_lengths
from app.xray.decode.dicom.elements import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    unusable,
)
from app.xray.decode.stripped import bare_jpeg
from app.xray.errors import UnusableImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from app.xray.decode.dicom.elements import DicomFile, Elements

    Levels = NDArray[np.uint8] | NDArray[np.uint16]

_NATIVE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG})
_RLE: Final = "1.2.840.10008.1.2.5"
_JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
_JPEG_LS: Final = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})
_JP2_START: Final = b"\0\0\0\x0cjP  "
_ITEM: Final = b"\xfe\xff\x00\xe0"
_PILLOW: Final = "pillow"
_IMAGECODECS: Final = "imagecodecs"  # no plugin: asked directly
_PLUGINS: Final = {
    **dict.fromkeys(_NATIVE, ""),
    _RLE: _PILLOW,  # our own use of it
    "1.2.840.10008.1.2.4.50": _PILLOW,  # JPEG baseline
    _JPEG_EXTENDED: _IMAGECODECS,
    "1.2.840.10008.1.2.4.57": _IMAGECODECS,  # JPEG lossless
    "1.2.840.10008.1.2.4.70": _IMAGECODECS,  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": _IMAGECODECS,  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": _IMAGECODECS,  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": "pylibjpeg",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": "pylibjpeg",  # JPEG 2000
}
"""Which of pydicom's plugins decodes each transfer syntax, so that a picture does not depend on
what else is installed."""
_GRAY: Final = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
_COLOR: Final = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"})


class FrameHeader(NamedTuple):
    """The Image Pixel module (PS3.3, C.7.6.3), checked: 8 or 16 bits for a sample, 1 or 3 samples.

    `photometric` is one of those that are read, with as many samples as it takes.
    """

    rows: int
    columns: int
    samples: int
    photometric: str
    planar: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool


class Frame(NamedTuple):
    """`levels`, uint8 or uint16 of shape (rows, columns) or (rows, columns, 3), and their colors.

    Each level is its stored bits read unsigned, below 2 ** bits_stored. `photometric` is that of
    the header, or of the samples where decoding changed it.
    """

    levels: Levels
    photometric: str


def read_header(elements: Elements) -> FrameHeader:
    """What the file says of its frame.

    Raises:
        UnusableImage: something that decoding needs is missing, contradicts itself, or is not
            read: 1 or 32 bits for a sample, colors with a fourth channel, retired color models.
    """

    def required(keyword: str) -> int:
        value = elements.integer(keyword)
        if value is None:
            raise UnusableImage(f"The DICOM file lacks {keyword}.")
        return value

    bits_allocated = required("BitsAllocated")
    bits_stored = elements.integer("BitsStored") or bits_allocated
    high_bit = elements.integer("HighBit")
    header = FrameHeader(
        rows=required("Rows"),
        columns=required("Columns"),
        samples=elements.integer("SamplesPerPixel") or 1,
        photometric=elements.text("PhotometricInterpretation"),
        planar=elements.integer("PlanarConfiguration") or 0,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if high_bit is None else high_bit,
        signed=elements.integer("PixelRepresentation") == 1,
    )
    if not (header.rows and header.columns):
        raise UnusableImage("The DICOM file declares a picture without pixels.")
    if bits_allocated not in {8, 16}:
        raise UnusableImage(
            f"The DICOM file has {bits_allocated} bits for a sample; 8 and 16 are read."
        )
    if not (1 < bits_stored <= header.high_bit + 1 <= bits_allocated) or header.planar > 1:
        raise UnusableImage("What the DICOM file says of its samples contradicts itself.")
    if header.photometric not in (_GRAY if header.samples == 1 else _COLOR) or header.samples > 3:
        raise UnusableImage("The DICOM file's colors are of a kind that is not read.")
    if header.photometric.startswith("YBR_FULL") and bits_stored > 8:
        raise UnusableImage("The DICOM file's colors are of a kind that is not read.")
    return header


def read_frame(file: DicomFile, header: FrameHeader) -> Frame:
    """Decode the file's one frame.

    Raises:
        UnusableImage: its transfer syntax is not read; the pixel data are missing, cut off or
            corrupt, or of another size than the header says.
    """
    plugin = _PLUGINS.get(file.transfer_syntax)
    if plugin is None:
        raise UnusableImage(_unread(file.transfer_syntax))
    pixel_data = file.elements.data("PixelData")
    if file.transfer_syntax == _RLE:
        with unusable("The DICOM file's pixel data are cut off or corrupt."):
            levels = decode_run_lengths(
                _codestream(pixel_data),
                rows=header.rows,
                columns=header.columns,
                samples=header.samples,
                bits_allocated=header.bits_allocated,
            )
        shift = header.high_bit + 1 - header.bits_stored
        return Frame(_masked(levels, header, shift), header.photometric)
    if file.transfer_syntax not in _NATIVE:
        from pydicom.encaps import encapsulate

        with unusable("The DICOM file's pixel data are cut off or corrupt."):
            codestream = _codestream(pixel_data)
        _check(codestream, header)
        if plugin == _PILLOW:
            codestream = bare_jpeg(codestream).data
        if plugin == _IMAGECODECS:
            with unusable("The DICOM file's pixel data are cut off or corrupt."):
                is_jpeg_ls = file.transfer_syntax in _JPEG_LS
                levels = decode_by_imagecodecs(codestream, is_jpeg_ls=is_jpeg_ls)
                shape = (header.rows, header.columns, header.samples)[: 2 + (header.samples > 1)]
                return Frame(_masked(levels.reshape(shape), header), header.photometric)
        pixel_data = encapsulate([codestream])  # no more than what was checked
    with unusable("The DICOM file's pixel data are cut off or corrupt."):
        levels, photometric = _decode(file, pixel_data, header, plugin)
    # Codecs hand over samples, which have no bits above the highest stored one to shift away.
    has_spare_bits = file.transfer_syntax in _NATIVE
    shift = header.high_bit + 1 - header.bits_stored if has_spare_bits else 0
    return Frame(_masked(levels, header, shift), photometric)


def _decode(
    file: DicomFile, pixel_data: bytes, header: FrameHeader, plugin: str
) -> tuple[NDArray[Any], str]:
    from pydicom.pixels.decoders.base import get_decoder

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
    if not plugin:  # no copies: spare bits are masked later
        options |= {"view_only": True, "correct_unused_bits": False}
    levels, properties = get_decoder(file.transfer_syntax).as_array(
        pixel_data,
        index=0,
        raw=True,  # colors as they are stored: Pillow turns them gray in less memory
        decoding_plugin=plugin,
        **options,
    )
    return levels, str(properties["photometric_interpretation"])


def _masked(levels: NDArray[Any], header: FrameHeader, shift: int = 0) -> Levels:
    """The bits that are stored, read unsigned; what else stands beside them is no picture."""
    if header.bits_stored > 8 * levels.dtype.itemsize:  # JPEG 2000 of fewer bits than declared
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


def _check(codestream: bytes, header: FrameHeader) -> None:
    """Refuse a codestream that declares another size than the file does."""
    found = declared(codestream)
    if (found.columns, found.rows, found.samples) != (
        header.columns,
        header.rows,
        header.samples,
    ) or not 1 < found.bits <= header.bits_allocated:
        raise UnusableImage("The compressed picture is of another size than the DICOM file says.")


def _unread(transfer_syntax: str) -> str:
    from pydicom.uid import UID

    name = UID(transfer_syntax).name
    if name == transfer_syntax:  # not registered: the sender's own words
        return "The DICOM file names no transfer syntax that the standard knows."
    return f"The DICOM file's transfer syntax, {name}, is not read."
