"""What a DICOM file says of its picture against trusting a model of frontal chest films."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from app.xray.decode.dicom.elements import Elements

_LATERAL_POSITIONS: Final = frozenset({"LL", "RL", "LLAT", "RLAT", "LAT", "LATERAL"})
_LATERAL_VIEWS: Final = frozenset(
    "399067008 399173006 399198007 399260004 399352003"  # SNOMED CT
    " R-102CD R-10236 R-10232 R-10224 R-10228".split()  # the same in its retired form
)
"""Lateral, left lateral, right lateral, medio-lateral, latero-medial (PS3.16, CID 4010)."""
_ANTERIOR_POSTERIOR: Final = frozenset("AP")
_CHESTS: Final = (
    "CHEST THORA TORA LUNG PULM BRUST POITRIN PECHO PEITO PETTO BORST BROST BRYST RINTA HRUD"
    " KLATK MELLK GOGUS ГРУД ЛЕГК ΘΩΡΑ 胸 가슴 흉부 صدر חזה ทรวงอก".split()
)
"""What names of the chest and the lungs hold, in capitals and without accents."""
_SHAPES: Final = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
"""The PresentationLUTShape that goes with each (PS3.3, C.8.11.3.1 and C.11.6)."""

IS_LATERAL: Final = (
    "The DICOM file says that this is a lateral view; the model was trained on frontal ones."
)
IS_NO_CHEST: Final = (
    "The DICOM file names a body part that is not the chest; the model was trained on chests."
)
IS_RAW: Final = (
    "The DICOM file's PresentationIntentType is FOR PROCESSING: these are raw data of the "
    "detector, and the model was trained on films as they are shown."
)
IS_CONTRADICTED: Final = (
    "The DICOM file's PresentationLUTShape contradicts its PhotometricInterpretation, which is "
    "believed: black and white may be reversed."
)


def warnings_of(elements: Elements) -> list[str]:
    """In whole sentences: a lateral view, another body part, raw data, contradicting polarity."""
    warnings = []
    if _is_lateral(elements):
        warnings.append(IS_LATERAL)
    body_part = _plain(elements.words_of_people("BodyPartExamined"))
    if body_part and not any(chest in body_part for chest in _CHESTS):
        warnings.append(IS_NO_CHEST)
    if elements.text("PresentationIntentType").upper() == "FOR PROCESSING":
        warnings.append(IS_RAW)
    shape = elements.text("PresentationLUTShape").upper()
    fitting = _SHAPES.get(elements.text("PhotometricInterpretation"))
    if shape in _SHAPES.values() and fitting not in {None, shape}:
        warnings.append(IS_CONTRADICTED)
    return warnings


def _is_lateral(elements: Elements) -> bool:
    view = elements.first_item("ViewCodeSequence")
    if view is not None and view.text("CodeValue") in _LATERAL_VIEWS:
        return True
    if elements.text("ViewPosition").upper() in _LATERAL_POSITIONS:
        return True
    # Along the rows of a frontal film lies left to right (PS3.3, C.7.6.1.1.1).
    return elements.text("PatientOrientation").upper()[:1] in _ANTERIOR_POSTERIOR


def _plain(text: str) -> str:
    """`text` in capitals, without accents."""
    apart = unicodedata.normalize("NFKD", text.upper())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))
