"""A file that is replaced whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    Whoever reads `path` meanwhile sees the old file or the new one, never a part of either; so it
    is after a crash of the machine. What a process that was killed left is written over by the
    next. Raises OSError where there is no such folder, or it cannot be written.
    """
    partial = path.with_name(f".{path.stem}.writing{path.suffix}")
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Have the disk hold what `path`, a file or a folder, has."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
