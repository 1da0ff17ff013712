"""What a report says as codes: SNOMED CT where there is one, else a private scheme."""

from __future__ import annotations

import hashlib
from typing import Final

from highdicom.sr import CodedConcept
from pydicom import Dataset

PRIVATE_SCHEME: Final = "99CXR"
"""Coding scheme designator of the concepts that no public scheme has (PS3.16, section 8)."""
_LONGEST_VALUE: Final = 16
_LONGEST_MEANING: Final = 64

PROBABILITY: Final = ("PROBABILITY", "Probability by the model, 0 to 1")
PREDICTION_SET: Final = ("PREDICTIONSET", "Cannot be excluded")
FINDING_CLASS: Final = ("CLASSES", "Classes of the model")
WARNING: Final = ("WARNING", "Warning about this answer")
DISCLAIMER: Final = ("DISCLAIMER", "Intended use")
GENERALISATION: Final = ("ELSEWHERE", "Measured at hospitals unseen in training")
REFUSAL: Final = ("REFUSAL", "Reason why the film was not answered")

_SNOMED_CLASSES: Final = {
    "COVID": ("840539006", "COVID-19"),
    "COVID-19": ("840539006", "COVID-19"),
    "PNEUMONIA": ("233604007", "Pneumonia"),
    "NORMAL": ("17621005", "Normal"),
}


def private_scheme() -> Dataset:
    """What a document says of our own coding scheme (PS3.3 C.12.1.1.1)."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = PRIVATE_SCHEME
    scheme.CodingSchemeName = "cxr-inference"
    scheme.CodingSchemeResponsibleOrganization = "cxr-inference"
    return scheme


def private(concept: tuple[str, str]) -> CodedConcept:
    """A concept of our own scheme."""
    return CodedConcept(concept[0], PRIVATE_SCHEME, concept[1])


def code_of_class(name: str) -> CodedConcept:
    """The concept for a class of a checkpoint: SNOMED CT's where it is one of the usual three.

    Any other class is coded by its own name in the private scheme; a name that a code value
    cannot hold (16 characters) by the beginning of its SHA-256.
    """
    if known := _SNOMED_CLASSES.get(name.upper()):
        return CodedConcept(known[0], "SCT", known[1])
    fits = len(name) <= _LONGEST_VALUE and name.isascii() and "\\" not in name
    value = name if fits else hashlib.sha256(name.encode()).hexdigest()[:_LONGEST_VALUE]
    meaning = name.replace("\\", "/")[:_LONGEST_MEANING]
    return CodedConcept(value, PRIVATE_SCHEME, meaning)
