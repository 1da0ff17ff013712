"""What a model's configuration declares, looked at before anything of it is built: the door."""

from app.xray.checkpoint.architecture.graph import PICTURE, Architecture, Call, Layer, Ref
from app.xray.checkpoint.architecture.read import read_architecture
from app.xray.checkpoint.architecture.sums import BYTES_A_NUMBER, Sums, add_up

__all__ = [
    "BYTES_A_NUMBER",
    "PICTURE",
    "Architecture",
    "Call",
    "Layer",
    "Ref",
    "Sums",
    "add_up",
    "read_architecture",
]
