"""Bytes of a DICOM file -> its data elements, as few of them as a radiograph needs."""

from __future__ import annotations

import functools
import io
import logging
import math
import warnings
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from app.xray.errors import SenderError, UnusableImage
from app.xray.image_types import DICOM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"

_WANTED: Final = """
    TransferSyntaxUID Modality ViewPosition BodyPartExamined ViewCodeSequence
    SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns
    BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit
    ModalityLUTSequence RescaleIntercept RescaleSlope PixelIntensityRelationship
    VOILUTSequence WindowCenter WindowWidth VOILUTFunction
    RedPaletteColorLookupTableDescriptor RedPaletteColorLookupTableData
    GreenPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableData
    BluePaletteColorLookupTableDescriptor BluePaletteColorLookupTableData
    PixelData
""".split()
_META_GROUP: Final = 0x0002
_PIXEL_DATA: Final = 0x7FE0_0010
_UNDEFINED: Final = 0xFFFF_FFFF
_MAX_READS: Final = 50_000  # an element or an item costs at least one; a radiograph has hundreds
_MAX_TEXT: Final = 1024  # bytes that are looked at; somebody may send 20 MB of backslashes


class _Rationed(io.BytesIO):
    """Bytes that can be read from only so often.

    pydicom makes a large object of every item, even of an empty one of 8 bytes, and calls itself
    for each that stands in another. Here a file of millions of them ends early.
    """

    _reads_left = _MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0:
            raise EOFError("too many elements")
        return super().read(size)


class Elements:
    """Data elements by keyword (PS3.6), their values read as the dictionary says they are coded.

    All methods raise UnusableImage for a value that is not of the kind asked for.
    """

    def __init__(self, raw: Mapping[int, Any]) -> None:
        self._raw = raw

    def __contains__(self, keyword: str) -> bool:
        """Whether the element is there, and not empty."""
        element = self._raw.get(_tag(keyword))
        return element is not None and bool(element.value)

    def data(self, keyword: str) -> bytes:
        """The value as it stands in the file, b"" where there is none."""
        element = self._raw.get(_tag(keyword))
        if element is None or not isinstance(element.value, bytes):
            return b""
        value: bytes = element.value
        if len(value) < element.length != _UNDEFINED:  # up to a delimiter, which was found
            raise UnusableImage(f"The DICOM file is cut off within {keyword}.")
        return value

    def text(self, keyword: str) -> str:
        """The first of its values, without padding, "" where there is none."""
        return self.data(keyword)[:_MAX_TEXT].split(b"\\")[0].decode("latin-1").strip(" \0")

    def number(self, keyword: str) -> float | None:
        """The first of its decimal numbers (DS or IS), finite; None where there is none."""
        text = self.text(keyword)
        if not text:
            return None
        try:
            number = float(text)
        except ValueError as error:
            raise UnusableImage(f"The DICOM file's {keyword} is no number.") from error
        if not math.isfinite(number):
            raise UnusableImage(f"The DICOM file's {keyword} is no finite number.")
        return number

    def words(self, keyword: str) -> NDArray[np.uint16]:
        """uint16 (n,): all its 16-bit words (US, SS or OW), signed ones as two's complement."""
        data = self.data(keyword)
        order = "<" if not data or self._raw[_tag(keyword)].is_little_endian else ">"
        return np.frombuffer(data, f"{order}u2", count=len(data) // 2).astype(np.uint16)

    def integer(self, keyword: str) -> int | None:
        """The first of its 16-bit words, unsigned; None where there is none."""
        words = self.words(keyword)
        return int(words[0]) if len(words) else None

    def type_of(self, keyword: str) -> str:
        """The value representation that the file declares, "" where it does not."""
        return getattr(self._raw.get(_tag(keyword)), "VR", None) or ""

    def first_item(self, keyword: str) -> Elements | None:
        """The first item of a sequence; None where there is none."""
        from pydicom.filereader import read_sequence

        element = self._raw.get(_tag(keyword))
        if element is None or not element.value:
            return None
        sequence = element.value
        if isinstance(sequence, bytes):  # of a declared length: not looked into until now
            order = element.is_implicit_VR, element.is_little_endian
            with unusable(f"The DICOM file's {keyword} is corrupt."):
                sequence = read_sequence(_Rationed(sequence), *order, len(sequence), "iso8859")
        if not len(sequence):
            return None
        item = sequence[0]
        return Elements({tag: item.get_item(tag, keep_deferred=True) for tag in list(item.keys())})


class DicomFile(NamedTuple):
    """What was read of a file: the elements that matter, up to the pixel data.

    `transfer_syntax` is the UID that says how they are coded, "" where the file names none.
    `damage` is why reading ended early, None where it did not.
    """

    transfer_syntax: str
    elements: Elements
    damage: Exception | None


def read_elements(data: bytes, *, max_inflated: int) -> DicomFile:
    """Read the elements of a DICOM file (PS3.10, section 7; PS3.5, section 7).

    What stands before the damage in a damaged file is read too: the head of a truncated CT still
    says that it is one. Values are not looked at.

    Args:
        data: the whole file, with its preamble.
        max_inflated: the most bytes that a deflated file may inflate to.
    """
    prepare_pydicom()
    source = _Rationed(data)
    source.seek(DICOM.offset + len(DICOM.signature))
    meta, damage = _collect(source, implicit=False, big=False, until_group=_META_GROUP)
    syntax = Elements(meta).text("TransferSyntaxUID")
    if damage is None and syntax == DEFLATED:
        try:
            source = _Rationed(_inflate(data[source.tell() :], max_inflated))
        except (zlib.error, UnusableImage) as error:
            damage = error
    if damage is not None:
        return DicomFile(syntax, Elements({}), damage)
    # Whatever else a transfer syntax says, its elements are explicit and little-endian (PS3.5,
    # annex A.4); a file that names none is read as the standard's default.
    implicit = syntax in {"", IMPLICIT_LITTLE}
    raw, damage = _collect(source, implicit=implicit, big=syntax == EXPLICIT_BIG)
    return DicomFile(syntax, Elements(raw), damage)


@contextmanager
def unusable(message: str) -> Iterator[None]:
    """Blame the file for whatever goes wrong: pydicom and the decoders raise no closed set."""
    try:
        yield
    except (SenderError, ImportError):  # said already; or a decoder is missing, which is our fault
        raise
    except Exception as error:
        raise UnusableImage(message) from error


@functools.cache
def prepare_pydicom() -> None:
    """Import pydicom, not before the first DICOM file comes, and keep it quiet ever after.

    So too the decoders under it. What they say in warnings and logs holds values of the file: a
    patient's. pydicom sets the level of its logger itself as it is imported, so this cannot be
    done before.
    """
    import pydicom.config

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for name in ("pydicom", "pylibjpeg", "openjpeg"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="pydicom")


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
def _tag(keyword: str) -> int:
    from pydicom.datadict import tag_for_keyword

    return int(tag_for_keyword(keyword) or 0)


@functools.cache
def _wanted_tags() -> list[Any]:
    return [_tag(keyword) for keyword in _WANTED]
