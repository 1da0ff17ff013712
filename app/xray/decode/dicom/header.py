"""What a DICOM file says of its one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from app.xray.errors import UnusableImage

if TYPE_CHECKING:
    from app.xray.decode.dicom.elements import Elements

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

    if "PhotometricInterpretation" not in elements:
        raise UnusableImage("The DICOM file lacks PhotometricInterpretation.")
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
