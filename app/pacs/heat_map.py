"""The heat map as a secondary capture of its own, with words burnt in."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
from highdicom.sc import SCImage
from PIL import Image, ImageDraw, ImageFont

from app.pacs.film import stable_uid
from app.pacs.report import MANUFACTURER

if TYPE_CHECKING:
    from pydicom import Dataset

_WORDS: Final = "RESEARCH - NOT FOR DIAGNOSIS"
_SERIES_NUMBER: Final = 9001
_DESCRIPTION: Final = "Research, not for diagnosis: what speaks for {label}"
_LONGEST: Final = 64


def capture_of(header: Dataset, png: bytes, *, label: str, sha256: str, version: str) -> Dataset:
    """A secondary capture of `png`, the film with its heat map; UIDs follow from film and model.

    A band with the words that it is not for diagnosis is burnt in below the picture.
    """
    about = ("heat map", sha256)
    capture = SCImage.from_ref_dataset(
        ref_dataset=header,
        pixel_array=_with_words(png),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=stable_uid(header, "series", *about),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=stable_uid(header, "instance", *about),
        instance_number=1,
        manufacturer=MANUFACTURER,
        patient_orientation=("L", "F"),
        series_description=_DESCRIPTION.format(label=label)[:_LONGEST],
        software_versions=version,
    )
    capture.BurnedInAnnotation = "YES"
    capture.BodyPartExamined = "CHEST"  # not one of a pair, so that no laterality is asked for
    return capture


def _with_words(png: bytes) -> np.ndarray:
    picture = Image.open(BytesIO(png)).convert("RGB")
    font = ImageFont.load_default(max(12, picture.width // 20))
    left, top, right, bottom = font.getbbox(_WORDS)
    band = int(bottom - top) + 12
    whole = Image.new("RGB", (picture.width, picture.height + band))
    whole.paste(picture)
    at = (max(0, (picture.width - int(right - left)) // 2), picture.height + 6 - int(top))
    ImageDraw.Draw(whole).text(at, _WORDS, fill="white", font=font)
    return np.asarray(whole)
