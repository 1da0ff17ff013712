"""Where the data elements of a DICOM file begin, told from its first bytes."""

from __future__ import annotations

import struct
from typing import Final

from app.xray.image_types import DICOM, JPEG, PNG

PREAMBLE: Final = DICOM.offset + len(DICOM.signature)
"""Bytes before the first element: a preamble of 128 that may hold anything, and "DICM" (PS3.10,
section 7.1)."""
_OTHERS: Final = (JPEG.signature, PNG.signature)
VALUE_REPRESENTATIONS: Final = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN"
    b" UR US UT UV".split()
)
"""PS3.5, section 6.2."""
_FIRST_GROUPS: Final = frozenset({2, 8})
"""Those of the file meta information, and of a data set without one."""
_FIRST_ELEMENTS: Final = 0x0100
_LONGEST_FIRST: Final = 256


def start_of(data: bytes) -> int | None:
    """The offset of the first data element, None where `data` is no DICOM file.

    "DICM" behind 128 bytes tells one, whatever those bytes are; where they begin like a JPEG or
    PNG, an element has to follow. A file that lost its preamble begins with an element.
    """
    if data.startswith(DICOM.signature, DICOM.offset) and (
        not data.startswith(_OTHERS) or _is_element(data, PREAMBLE)
    ):
        return PREAMBLE
    return 0 if _is_element(data, 0) else None


def is_explicit(data: bytes, offset: int) -> bool:
    """Whether the element at `offset` names its value representation."""
    return data[offset + 4 : offset + 6] in VALUE_REPRESENTATIONS


def is_big_endian(data: bytes, offset: int) -> bool:
    """Whether the element at `offset` has the tag of a first one in big-endian order."""
    return data[offset : offset + 2] == b"\0\x08"


def _is_element(data: bytes, offset: int) -> bool:
    """Whether a data set, or the meta information before it, may begin at `offset`."""
    if len(data) < offset + 8:
        return False
    explicit = is_explicit(data, offset)
    order = ">" if explicit and is_big_endian(data, offset) else "<"
    group, element = struct.unpack_from(f"{order}HH", data, offset)
    if group not in _FIRST_GROUPS or element >= _FIRST_ELEMENTS:
        return False
    return explicit or int.from_bytes(data[offset + 4 : offset + 8], "little") <= _LONGEST_FIRST
