"""What a file is that is no JPEG, PNG or DICOM, and what its sender can do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

UNKNOWN: Final = "The first bytes are those of no JPEG, PNG or DICOM file."
_EXPORT: Final = "export it as PNG, or as JPEG of high quality"
_SEND_BYTES: Final = (
    "send the bytes of the picture themselves, such as by "
    "`curl -F file=@xray.png http://127.0.0.1:8000/predict`"
)
JPEG_LS_START: Final = b"\xff\xd8\xff\xf7"
"""Of a file without a header before its frame."""
_HEAD: Final = 512
"""Bytes that are looked at."""
_BASE64_STARTS: Final = (b"/9j/", b"iVBORw0KGgo", b"AAAAAAAAAAAAAAAAAAAA")
"""Of a JPEG, a PNG, and a DICOM file with an empty preamble."""


class Foreign(NamedTuple):
    """A kind of file that is not read; `advice` is what to do with one."""

    name: str
    advice: str
    matches: Callable[[bytes], bool]


def _starts(*signatures: bytes, at: int = 0) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures, at)


def _brand(pattern: bytes) -> Callable[[bytes], bool]:
    """An ISO base media file whose major brand it is (ISO/IEC 14496-12, section 4.3)."""
    return lambda head: re.match(b"ftyp(?:" + pattern + b")", head[4:12]) is not None


def _text(pattern: bytes) -> Callable[[bytes], bool]:
    """Text that begins so, behind white space and a byte-order mark."""
    return lambda head: (
        re.match(rb"(?:\xef\xbb\xbf)?\s*(?:" + pattern + b")", head, re.IGNORECASE) is not None
    )


FOREIGN: Final = (
    Foreign("an AVIF picture", _EXPORT, _brand(b"avi[fs]")),
    Foreign("a HEIC picture", _EXPORT, _brand(b"hei[cmsx]|hev[cmsx]|mif1|msf1")),
    Foreign("a video", "send a single picture", _brand(b".{4}")),
    Foreign("a WebP picture", _EXPORT, lambda h: h[:4] == b"RIFF" and h[8:12] == b"WEBP"),
    Foreign("a TIFF picture", _EXPORT, _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    Foreign("a BMP picture", _EXPORT, lambda h: h[:2] == b"BM" and h[6:10] == bytes(4)),
    Foreign("a GIF picture", _EXPORT, _starts(b"GIF87a", b"GIF89a")),
    Foreign("a Photoshop file", _EXPORT, _starts(b"8BPS")),
    Foreign("a JPEG 2000 picture", _EXPORT, _starts(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")),
    Foreign("a JPEG XL picture", _EXPORT, _starts(b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    Foreign("a JPEG-LS picture", _EXPORT, _starts(JPEG_LS_START)),
    Foreign("an SVG drawing", _EXPORT, _text(rb"(?:<\?xml[^>]*>\s*)?<svg")),
    Foreign("a PDF document", "send the picture that stands in it", _starts(b"%PDF-")),
    Foreign(
        "a zip archive",
        "unpack it and send one picture; `python -m app.score` reads archives",
        _starts(b"PK\3\4", b"PK\5\6"),
    ),
    Foreign(
        "a compressed file",
        "unpack it and send the picture",
        _starts(
            b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x28\xb5\x2f\xfd"
        ),
    ),
    Foreign("a NumPy array", _EXPORT, _starts(b"\x93NUMPY")),
    Foreign("a NIfTI volume", "send a single projection X-ray", _starts(b"n+1\0", at=344)),
    Foreign(
        "an HTML page",
        "send the picture itself, not the page that shows it",
        _text(b"<!doctype html|<html"),
    ),
    Foreign("XML", _SEND_BYTES, _text(rb"<\?xml")),
    Foreign("a data URI", _SEND_BYTES, _text(b"data:[a-z]")),
    Foreign("JSON", _SEND_BYTES, _text(rb"[{\[]")),
    Foreign("text in base64", _SEND_BYTES, _starts(*_BASE64_STARTS)),
    Foreign(
        "an address", "fetch it, and send the picture that is there", _text(b"https?://|s3://")
    ),
)
"""The first that matches is it."""


def describe(data: bytes) -> str:
    """What `data` is and what to do, in a sentence; `UNKNOWN` where its first bytes tell none."""
    head = bytes(data[:_HEAD])
    for kind in FOREIGN:
        if kind.matches(head):
            return f"The file is {kind.name}; JPEG, PNG and DICOM are read: {kind.advice}."
    return UNKNOWN
