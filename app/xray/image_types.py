"""The image types that are taken: what a file of each is called, declared as and begins with."""

from __future__ import annotations

from typing import Final, NamedTuple


class ImageType(NamedTuple):
    """One type of image file; `signature` stands at byte `offset` of each."""

    name: str
    media_type: str
    suffixes: tuple[str, ...]
    signature: bytes
    offset: int = 0


JPEG: Final = ImageType("JPEG", "image/jpeg", (".jpg", ".jpeg"), b"\xff\xd8\xff")
PNG: Final = ImageType("PNG", "image/png", (".png",), b"\x89PNG\r\n\x1a\n")
DICOM: Final = ImageType("DICOM", "application/dicom", (".dcm", ".dicom"), b"DICM", offset=128)
"""Its signature is behind a preamble that may hold anything (PS3.10, section 7.1)."""

TYPES: Final = (JPEG, PNG, DICOM)
SUFFIXES: Final = tuple(suffix for kind in TYPES for suffix in kind.suffixes)
"""Those of all types, in lower case, each with its dot."""
NAMES: Final = f"{', '.join(kind.name for kind in TYPES[:-1])} or {TYPES[-1].name}"
"""The types' names as a sentence has them."""
