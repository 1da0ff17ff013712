"""Bytes of a DICOM file -> its data set, up to the pixel data."""

from __future__ import annotations

import functools
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from app.xray.decode.dicom.elements import Elements, Rationed, prepare_pydicom, tag_of
from app.xray.decode.dicom.repair import without_broken
from app.xray.decode.dicom.start import is_big_endian, is_explicit, start_of
from app.xray.errors import UnusableImage

if TYPE_CHECKING:
    import io

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"

_WANTED: Final = """
    TransferSyntaxUID SpecificCharacterSet SOPClassUID Modality PresentationIntentType
    ViewPosition BodyPartExamined PatientOrientation ViewCodeSequence
    SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns
    BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit
    ModalityLUTSequence RescaleIntercept RescaleSlope PixelIntensityRelationship
    VOILUTSequence WindowCenter WindowWidth VOILUTFunction PresentationLUTShape
    RedPaletteColorLookupTableDescriptor RedPaletteColorLookupTableData
    GreenPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableData
    BluePaletteColorLookupTableDescriptor BluePaletteColorLookupTableData
    PixelData
""".split()
_META_GROUP: Final = 0x0002
_PIXEL_DATA: Final = 0x7FE0_0010


class DicomFile(NamedTuple):
    """What was read of a file: the elements that matter, up to the pixel data.

    `transfer_syntax` is the UID that says how they are coded; where the file names none,
    `is_assumed`, and it is the one that its elements look like. `damage` is why reading ended
    early, None where it did not.
    """

    transfer_syntax: str
    is_assumed: bool
    elements: Elements
    damage: Exception | None


def read_file(data: bytes, *, max_inflated: int) -> DicomFile:
    """Read the elements of a DICOM file (PS3.10, section 7; PS3.5, section 7).

    The preamble and the file meta information may be missing. What stands before the damage in a
    damaged file is read too: the head of a truncated CT still says that it is one. Values are not
    looked at.

    Args:
        data: the whole file.
        max_inflated: the most bytes that a deflated file may inflate to.
    """
    prepare_pydicom()
    source = Rationed(data)
    source.seek(start_of(data) or 0)
    meta, damage = _collect(source, implicit=False, big=False, until_group=_META_GROUP)
    named = Elements(meta).text("TransferSyntaxUID")
    syntax = named or _looks_like(data, source.tell())
    if damage is None and syntax == DEFLATED:
        try:
            data = _inflate(data[source.tell() :], max_inflated)
            source = Rationed(data)
        except (zlib.error, UnusableImage) as error:
            damage = error
    if damage is not None:
        return DicomFile(syntax, not named, Elements({}), damage)
    # Whatever else a transfer syntax says, its elements are explicit and little-endian (PS3.5,
    # annex A.4).
    start = source.tell()
    order = {"implicit": syntax == IMPLICIT_LITTLE, "big": syntax == EXPLICIT_BIG}
    raw, damage = _collect(source, **order)
    if damage is not None and not any(order.values()):
        mended = without_broken(data, start)
        if mended is not None:
            raw, damage = _collect(Rationed(mended), **order)
    return DicomFile(syntax, not named, Elements(raw), damage)


def _looks_like(data: bytes, start: int) -> str:
    """Implicit little-endian, the standard's default, unless the elements name their VR."""
    if not is_explicit(data, start):
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if is_big_endian(data, start) else EXPLICIT_LITTLE


def _collect(
    source: io.BytesIO, *, implicit: bool, big: bool, until_group: int | None = None
) -> tuple[dict[int, Any], Exception | None]:
    """The wanted elements from here on by tag, and what ended the reading early."""
    from pydicom.filereader import data_element_generator

    def stop(tag: int, _type: str | None, _length: int) -> bool:
        return tag >> 16 != until_group

    raw: dict[int, Any] = {}
    try:
        for element in data_element_generator(
            source,
            implicit,
            not big,
            stop_when=None if until_group is None else stop,
            specific_tags=_wanted_tags(),
        ):
            raw[element.tag] = element
            if element.tag == _PIXEL_DATA:
                break
    except Exception as error:  # pydicom documents no closed set of errors
        return raw, error
    end = len(source.getbuffer())
    return raw, EOFError("an element is longer than the file") if source.tell() > end else None


def _inflate(data: bytes, most_bytes: int) -> bytes:
    """Undo PS3.5, annex A.5, but never to more than `most_bytes`."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(data, most_bytes)
    if inflater.unconsumed_tail or not inflater.eof:
        raise UnusableImage("The DICOM file is cut off, or inflates to more than is ever decoded.")
    return inflated


@functools.cache
def _wanted_tags() -> list[Any]:
    return [tag_of(keyword) for keyword in _WANTED]
