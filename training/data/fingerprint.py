"""By what one folder of X-rays is known from another before a picture of it is decoded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from app.xray.errors import DatasetError
from training.data.folder import find_files
from training.data.manifest import read_sources

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def fingerprint_of(root: Path, splits: Sequence[str]) -> str:
    """The SHA-256 over the sorted lines `SPLIT/CLASS/NAME SHA256-OF-FILE SOURCE` of `splits`.

    Sources are those of the manifest, for what is drawn and held out depends on them.

    Raises:
        DatasetError: as `find_files` and `read_sources`, or a file cannot be read.
    """
    _, found = find_files(root, splits)
    sources = read_sources(root)
    lines = []
    for path, _ in (item for split in splits for item in found[split]):
        file = path.relative_to(root).as_posix()
        try:
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
        lines.append(f"{file} {digest} {sources.get(file, '')}".rstrip())
    whole = "\n".join(sorted(lines)).encode("utf-8", "surrogateescape")
    return hashlib.sha256(whole).hexdigest()
