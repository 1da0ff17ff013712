"""A checkpoint file, inspected before anything in it is believed: the door.

h5py is imported where a file is opened: a process that only serves opens none.
"""

from app.xray.checkpoint.container import file_sha256, write_contract
from app.xray.checkpoint.read import (
    Checkpoint,
    Inspected,
    inspect_checkpoint,
    read_checkpoint,
)

__all__ = [
    "Checkpoint",
    "Inspected",
    "file_sha256",
    "inspect_checkpoint",
    "read_checkpoint",
    "write_contract",
]
