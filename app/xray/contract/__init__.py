"""What a checkpoint promises of its input and output: the door."""

from app.xray.contract.contract import ATTRIBUTE, DEFAULT_CLASSES, ModelContract, read_text
from app.xray.contract.figures import CalibratedOn, DatasetSummary, Estimate, LowerPrecision
from app.xray.contract.input_text import parse_input, spell_input
from app.xray.contract.picture import RESIZINGS, PictureContract

__all__ = [
    "ATTRIBUTE",
    "DEFAULT_CLASSES",
    "RESIZINGS",
    "CalibratedOn",
    "DatasetSummary",
    "Estimate",
    "LowerPrecision",
    "ModelContract",
    "PictureContract",
    "parse_input",
    "read_text",
    "spell_input",
]
