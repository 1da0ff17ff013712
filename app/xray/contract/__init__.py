"""What a checkpoint promises of its input and output: the door."""

from app.xray.contract.contract import ATTRIBUTE, DEFAULT_CLASSES, ModelContract, read_text
from app.xray.contract.figures import DatasetSummary, Estimate, LowerPrecision
from app.xray.contract.picture import RESIZINGS, PictureContract

__all__ = [
    "ATTRIBUTE",
    "DEFAULT_CLASSES",
    "RESIZINGS",
    "DatasetSummary",
    "Estimate",
    "LowerPrecision",
    "ModelContract",
    "PictureContract",
    "read_text",
]
