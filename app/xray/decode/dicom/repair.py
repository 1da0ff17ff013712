"""A data set without the elements whose value representation is none."""

from __future__ import annotations

import struct
from typing import Final

from app.xray.decode.dicom.start import VALUE_REPRESENTATIONS

_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Their length takes 32 bits, behind two bytes that are reserved (PS3.5, section 7.1.2)."""
_UNDEFINED: Final = 0xFFFF_FFFF
_PIXEL_DATA: Final = 0x7FE0_0010
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_MOST_ELEMENTS: Final = 20_000
_MOST_ENDS: Final = 100
"""Of one sequence: others may stand in it."""


def without_broken(data: bytes, start: int) -> bytes | None:
    """`data` from `start` on, without each element before the pixel data whose VR is none.

    The data set is explicit and little-endian. The length of a broken element is read in each of
    the ways that there are; right is the one behind which an element with a later tag follows.
    None where nothing is broken in this way, or no way is right.
    """
    kept: list[bytes] = []
    offset = begun = start
    try:
        for _ in range(_MOST_ELEMENTS):
            if _tag(data, offset) >= _PIXEL_DATA:
                return b"".join([*kept, data[begun:]]) if kept else None
            kind = data[offset + 4 : offset + 6]
            is_sound = kind in VALUE_REPRESENTATIONS
            end = _end(data, offset, kind) if is_sound else _end_of_broken(data, offset)
            if end is None:
                return None
            if not is_sound:
                kept.append(data[begun:offset])
                begun = end
            offset = end
    except struct.error:  # cut off
        pass
    return None


def _tag(data: bytes, offset: int) -> int:
    group, element = struct.unpack_from("<HH", data, offset)
    return int(group << 16 | element)


def _end(data: bytes, offset: int, kind: bytes) -> int | None:
    if kind not in _LONG:
        return offset + 8 + int(struct.unpack_from("<H", data, offset + 6)[0])
    (length,) = struct.unpack_from("<I", data, offset + 8)
    if length != _UNDEFINED:
        return offset + 12 + int(length)
    ends: list[int] = []
    end = offset
    while len(ends) < _MOST_ENDS and (end := data.find(_SEQUENCE_END, end + 1)) >= 0:
        ends.append(end + len(_SEQUENCE_END))
    return _likeliest(data, offset, ends)


def _end_of_broken(data: bytes, offset: int) -> int | None:
    short = 8 + struct.unpack_from("<H", data, offset + 6)[0]
    implicit = 8 + struct.unpack_from("<I", data, offset + 4)[0]
    long = 12 + struct.unpack_from("<I", data, offset + 8)[0]
    return _likeliest(data, offset, [offset + length for length in (short, long, implicit)])


def _likeliest(data: bytes, offset: int, ends: list[int]) -> int | None:
    """The end behind which an element stands that may follow the one at `offset`.

    One whose VR is sound goes before one that may be broken as well.
    """
    after = [end for end in ends if end + 8 <= len(data)]
    following = [end for end in after if _tag(data, offset) < _tag(data, end) <= _PIXEL_DATA]
    sound = [end for end in following if data[end + 4 : end + 6] in VALUE_REPRESENTATIONS]
    return next(iter(sound + following), None)
