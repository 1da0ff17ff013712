"""Which codec hands over what colors, and who turns them into RGB."""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING, Final

from app.xray.decode.codestream import FRAMES, JPEG_LS, segments
from app.xray.errors import UnusableImage

if TYPE_CHECKING:
    from collections.abc import Mapping


class Codec(Enum):
    """What the samples of a frame come out of."""

    NATIVE = "native"
    RLE = "rle"
    JPEG = "jpeg"
    """Baseline, extended and progressive, of 8 bits."""
    JPEG_DEEP = "jpeg-deep"
    """Extended of 12 bits, and lossless."""
    JPEG_LS = "jpeg-ls"
    JPEG_2000 = "jpeg-2000"


class Converts(Enum):
    """Who turns the samples of a color picture into RGB."""

    NOBODY = "nobody"
    """They are stored as RGB."""
    CODEC = "codec"
    """The codec has, as its codestream says."""
    WE = "we"
    """They are handed over as YCbCr (ITU-R BT.601, full range)."""


_STORED: Final = {
    "RGB": Converts.NOBODY,
    "YBR_FULL": Converts.WE,
    "YBR_FULL_422": Converts.WE,
    "YBR_RCT": Converts.NOBODY,
    "YBR_ICT": Converts.NOBODY,
}
WHO_CONVERTS: Final[Mapping[Codec, Mapping[str, Converts]]] = {
    Codec.NATIVE: _STORED,
    Codec.RLE: _STORED,
    Codec.JPEG: _STORED,
    Codec.JPEG_DEEP: _STORED,
    Codec.JPEG_LS: _STORED,
    # OpenJPEG undoes the transform of components (ITU-T T.800, annex G) where there was one, by
    # whatever name the file calls it.
    Codec.JPEG_2000: _STORED | {"YBR_RCT": Converts.CODEC, "YBR_ICT": Converts.CODEC},
}
"""By the PhotometricInterpretation of the file (PS3.3, C.7.6.3.1.2). No codec is let convert by
itself: each JPEG decoder has guesses of its own. Where a JPEG names its colors (`named_colors`)
that goes before what the file says, as pydicom and GDCM have it."""

_JFIF: Final = 0xE0, b"JFIF\0"
_ADOBE: Final = 0xEE, b"Adobe"
_ADOBE_TRANSFORM: Final = 11
"""Behind the name: version, two flags of 16 bits, the transform (ITU-T T.872, 6.5.3)."""
_RGB_NAMES: Final = (b"RGB", b"rgb")


def is_rgb(codec: Codec, photometric: str, codestream: bytes = b"") -> bool:
    """Whether the three samples that `codec` hands over for each pixel are RGB, else YCbCr."""
    if codec in {Codec.JPEG, Codec.JPEG_DEEP, Codec.JPEG_LS}:
        named = named_colors(codestream)
        if named:
            return named == "RGB"
    return WHO_CONVERTS[codec][photometric] is not Converts.WE


def named_colors(codestream: bytes) -> str:
    """The colors of a JPEG of three components, "RGB" or "YCbCr", "" where it names none.

    By the names of its components (a custom of writers), by an Adobe segment (ITU-T T.872, 6.5.3),
    or by a JFIF segment, which allows only YCbCr (ITU-T T.871, section 7).

    Raises:
        UnusableImage: its head is cut off.
    """
    by_segment = ""
    try:
        for marker, start in segments(codestream):
            if marker in FRAMES or marker == JPEG_LS:
                names = codestream[start + 10 : start + 19 : 3]
                return "RGB" if names in _RGB_NAMES else by_segment
            (length,) = struct.unpack_from(">H", codestream, start + 2)
            is_adobe = marker == _ADOBE[0] and codestream.startswith(_ADOBE[1], start + 4)
            if is_adobe and length > 2 + _ADOBE_TRANSFORM:
                transform = codestream[start + 4 + _ADOBE_TRANSFORM]
                by_segment = "YCbCr" if transform else "RGB"
            elif marker == _JFIF[0] and codestream.startswith(_JFIF[1], start + 4):
                by_segment = by_segment or "YCbCr"
    except (struct.error, LookupError) as error:
        raise UnusableImage("The compressed picture's header is cut off.") from error
    return by_segment
