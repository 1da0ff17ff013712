"""A film as it came: what of its header a report needs."""

from __future__ import annotations

import uuid
from io import BytesIO
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.config import RAISE
from pydicom.uid import UID
from pydicom.valuerep import validate_value

_ORIGIN: Final = uuid.UUID("6c1a3e5e-3c37-5a8c-8d0f-0d9f5f0f6a55")
"""The namespace of this node's UIDs: the same film and checkpoint always give the same ones."""

_NEEDED: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_MAY_BE_EMPTY: Final = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Type 2 elements of the patient and study modules (PS3.3 C.7.1.1, C.7.2.1)."""
_MAY_BE_ABSENT: Final = (
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDescription",
    "Occupation",
    "AdditionalPatientHistory",
)


class UnreadableFilm(Exception):
    """The data set does not parse, or does not say what it is."""


def read_header(film: bytes) -> Dataset:
    """The elements of `film`, a DICOM file, up to its pixels; those that may be empty are there.

    Raises:
        UnreadableFilm: it does not parse, or lacks the UIDs of study, series or instance.
    """
    try:
        header = dcmread(BytesIO(film), stop_before_pixels=True, force=True)
        lacking = [name for name in _NEEDED if not UID(str(header.get(name, ""))).is_valid]
        _mend_what_is_copied(header)
    except Exception as error:  # pydicom raises whatever an odd stream leads it to
        raise UnreadableFilm("its data set does not parse") from error
    if lacking:
        raise UnreadableFilm(f"no valid {lacking[0]}")
    return header


def _mend_what_is_copied(header: Dataset) -> None:
    """Empty or drop, of the elements that a report copies, those whose value their VR forbids."""
    for name in _MAY_BE_EMPTY:
        if name not in header or header[name].is_empty or not _is_valid(header, name):
            setattr(header, name, "")
    for name in _MAY_BE_ABSENT:
        if name in header and not _is_valid(header, name):
            delattr(header, name)


def _is_valid(header: Dataset, name: str) -> bool:
    element = header[name]
    try:
        validate_value(element.VR, element.value, RAISE)
    except ValueError:
        return False
    return True


def stable_uid(header: Dataset, *about: str) -> UID:
    """A UID that is the same whenever the same film meets the same `about` (PS3.5 B.2)."""
    name = "\n".join((str(header.SOPInstanceUID), *about))
    return UID(f"2.25.{uuid.uuid5(_ORIGIN, name).int}")
