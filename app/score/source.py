"""Where the pictures of an archive lie, on this machine or in an object store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from app.xray import image_types
from app.xray.errors import ScoringError, TooManyBytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SUFFIXES: Final = frozenset({"", *image_types.SUFFIXES})
"""Which files of a folder are taken; DICOM files often have no suffix."""
_LIST: Final = ".txt"
_PATTERN: Final = frozenset("*?[")


def list_pictures(source: str) -> Iterator[str]:
    """The addresses of the pictures of `source`, each as `read_picture` takes it.

    A folder has those of its files whose suffix is one of `SUFFIXES`, at any depth, hidden ones
    left out; a pattern (`*`, `?`, `[ ]`, `**`) what it matches; both in alphabetical order. A file
    named .txt has an address a line, in its order, and any other file is one picture. Each may be
    a path, or an address that fsspec knows, such as `s3://bucket/folder`.

    Raises:
        ScoringError: there is no such thing, or nothing in it; or it cannot be looked at.
    """
    files, root = _open(source)
    names: Iterable[str]
    try:
        if _PATTERN & set(root):
            names = (name for name in sorted(files.glob(root)) if not files.isdir(name))
        elif files.isdir(root):
            names = (name for name in sorted(files.find(root)) if _is_picture(name[len(root) :]))
        elif root.endswith(_LIST):
            yield from _lines(files, root)
            return
        else:
            names = [root] if files.exists(root) else []
        found = False
        for name in names:
            found = True
            yield _address(files, name, source)
    except OSError as error:
        raise ScoringError(f"{source}: {error}") from error
    if not found:
        raise ScoringError(f"{source}: no pictures there")


def read_picture(address: str, max_bytes: int) -> bytes:
    """The bytes of one picture.

    Raises:
        TooManyBytes: more than `max_bytes`; no more than one beyond was read.
        Exception: whatever its file system raises where it cannot be read.
    """
    with fsspec.open(address, "rb") as file:
        data: bytes = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooManyBytes(f"The file has more than {max_bytes} bytes.")
    return data


def _open(source: str) -> tuple[Any, str]:
    try:
        files, root = fsspec.core.url_to_fs(source)
    except (ImportError, ValueError) as error:  # a package for that kind is missing, or unknown
        raise ScoringError(f"{source}: {error}") from error
    return files, root


def _is_picture(below: str) -> bool:
    parts = below.strip("/").split("/")
    is_hidden = any(part.startswith(".") for part in parts)
    return not is_hidden and os.path.splitext(parts[-1])[1].lower() in SUFFIXES  # noqa: PTH122


def _lines(files: Any, root: str) -> Iterator[str]:
    with files.open(root, "r", encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield line.strip("\r\n")


def _address(files: Any, name: str, source: str) -> str:
    """The address of a picture, as the source was named: a relative path or a whole address."""
    if not isinstance(files, LocalFileSystem):
        return str(files.unstrip_protocol(name))
    return name if os.path.isabs(source) or "://" in source else os.path.relpath(name)  # noqa: PTH117
