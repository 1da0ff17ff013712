"""A checkpoint file, inspected before anything in it is believed: the door."""

from app.xray.checkpoint.read import Checkpoint, file_sha256, read_checkpoint

__all__ = ["Checkpoint", "file_sha256", "read_checkpoint"]
