"""Data elements of a DICOM file, and what their values say."""

from __future__ import annotations

import functools
import io
import logging
import math
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.xray.errors import SenderError, UnusableImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

_UNDEFINED: Final = 0xFFFF_FFFF
_MAX_READS: Final = 50_000  # an element or an item costs at least one; a radiograph has hundreds
_MAX_TEXT: Final = 1024  # bytes that are looked at; somebody may send 20 MB of backslashes


class Rationed(io.BytesIO):
    """Bytes that can be read from only so often: `EOFError` beyond.

    pydicom makes a large object of every item, even of an empty one of 8 bytes, and calls itself
    for each that stands in another. Here a file of millions of them ends early.
    """

    _reads_left = _MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """As `io.BytesIO.read`."""
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
        element = self._raw.get(tag_of(keyword))
        return element is not None and bool(element.value)

    def data(self, keyword: str) -> bytes:
        """The value as it stands in the file, b"" where there is none."""
        element = self._raw.get(tag_of(keyword))
        if element is None or not isinstance(element.value, bytes):
            return b""
        value: bytes = element.value
        if len(value) < element.length != _UNDEFINED:  # up to a delimiter, which was found
            raise UnusableImage(f"The DICOM file is cut off within {keyword}.")
        return value

    def text(self, keyword: str) -> str:
        """The first of its values, without padding, "" where there is none."""
        return self.data(keyword)[:_MAX_TEXT].split(b"\\")[0].decode("latin-1").strip(" \0")

    def words_of_people(self, keyword: str) -> str:
        """As `text`, in the character set that the file names, else UTF-8 (PS3.5, section 6.1)."""
        from pydicom.charset import convert_encodings, decode_bytes

        data = self.data(keyword)[:_MAX_TEXT]
        sets = self.data("SpecificCharacterSet")[:_MAX_TEXT].decode("latin-1").split("\\")
        names = [name.strip(" \0") for name in sets]
        if any(names):
            with suppress(LookupError, ValueError):
                encodings = convert_encodings(names)
                return str(decode_bytes(data, encodings, set(b"\\"))).strip(" \0")
        return data.decode("utf-8", "replace").strip(" \0")

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
        order = "<" if not data or self._raw[tag_of(keyword)].is_little_endian else ">"
        return np.frombuffer(data, f"{order}u2", count=len(data) // 2).astype(np.uint16)

    def integer(self, keyword: str) -> int | None:
        """The first of its 16-bit words, unsigned; None where there is none."""
        words = self.words(keyword)
        return int(words[0]) if len(words) else None

    def type_of(self, keyword: str) -> str:
        """The value representation that the file declares, "" where it does not."""
        return getattr(self._raw.get(tag_of(keyword)), "VR", None) or ""

    def first_item(self, keyword: str) -> Elements | None:
        """The first item of a sequence; None where there is none."""
        from pydicom.filereader import read_sequence

        element = self._raw.get(tag_of(keyword))
        if element is None or not element.value:
            return None
        sequence = element.value
        if isinstance(sequence, bytes):  # of a declared length: not looked into until now
            order = element.is_implicit_VR, element.is_little_endian
            with unusable(f"The DICOM file's {keyword} is corrupt."):
                sequence = read_sequence(Rationed(sequence), *order, len(sequence), "iso8859")
        if not len(sequence):
            return None
        item = sequence[0]
        return Elements({tag: item.get_item(tag, keep_deferred=True) for tag in list(item.keys())})


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


@functools.cache
def tag_of(keyword: str) -> int:
    """The tag of a keyword (PS3.6), 0 where it has none."""
    from pydicom.datadict import tag_for_keyword

    return int(tag_for_keyword(keyword) or 0)
