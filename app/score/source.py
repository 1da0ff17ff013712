"""Where the pictures of an archive lie, on this machine or in an object store."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from app.xray import image_types
from app.xray.decode import sniff
from app.xray.errors import ScoringError, TooManyBytes, UnsupportedImageType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SUFFIXES: Final = frozenset(image_types.SUFFIXES)
"""Files of a folder that are taken whatever is in them: what is broken gets a row that says so."""
_LIST: Final = ".txt"
_PATTERN: Final = frozenset("*?[")
_CHAIN: Final = "::"
"""Between the parts of an address within another, such as `zip://**::archive.zip`."""
_HEAD_BYTES: Final = 512
_HEADS_AT_ONCE: Final = 256
_BYTE_ORDER_MARKS: Final = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",  # as PowerShell writes it
    b"\xfe\xff": "utf-16",
}


def list_pictures(
    source: str, on_left_out: Callable[[str], None] = lambda _: None
) -> Iterator[str]:
    """The addresses of the pictures of `source`, each as `read_picture` takes it.

    A folder has those of its files, at any depth, whose first bytes are those of a JPEG, PNG or
    DICOM file, or whose suffix is one of `image_types.SUFFIXES`; `on_left_out` is told of each
    other one, and of hidden ones. A pattern (`*`, `?`, `[ ]`, `**`) has what it matches, unless it
    is itself the name of something. Both are in alphabetical order. A file named .txt has an
    address a line, in its order, and any other file is one picture. Each may be a path, or an
    address that fsspec knows, such as `s3://bucket/folder` or `zip://**::archive.zip`.

    Raises:
        ScoringError: there is no such thing, or nothing in it; or it cannot be looked at.
    """
    found = False
    try:
        files, root = fsspec.core.url_to_fs(source)
        for name in _names(files, root, on_left_out):
            found = True
            yield name if _is_list(files, root) else _address(files, name, source)
    except Exception as error:  # file systems raise errors of their own
        raise ScoringError(f"{source}: {error}") from error
    if not found:
        raise ScoringError(f"{source}: no pictures there")


def read_picture(address: str, max_bytes: int) -> bytes:
    """The bytes of one picture.

    Raises:
        TooManyBytes: more than `max_bytes`; no more than one beyond was read.
        Exception: whatever its file system raises where it cannot be read.
    """
    files, path = fsspec.core.url_to_fs(address)  # which takes brackets for what they are
    with files.open(path, "rb") as file:
        data: bytes = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooManyBytes(f"The file has more than {max_bytes} bytes.")
    return data


def printable(text: str) -> str:
    """`text` in UTF-8, which is all that a table holds: other bytes of a name are spelt out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _names(files: Any, root: str, on_left_out: Callable[[str], None]) -> Iterable[str]:
    if _PATTERN & set(root) and not files.exists(root):
        return (name for name in sorted(files.glob(root)) if not files.isdir(name))
    if files.isdir(root):
        return _pictures_in(files, root, on_left_out)
    if _is_list(files, root):
        return _lines(files, root)
    return [root] if files.exists(root) else []


def _is_list(files: Any, root: str) -> bool:
    return root.endswith(_LIST) and not files.isdir(root)


def _pictures_in(files: Any, root: str, on_left_out: Callable[[str], None]) -> Iterator[str]:
    names = iter(sorted(files.find(root)))
    while batch := list(islice(names, _HEADS_AT_ONCE)):
        asked = [
            name for name in batch if not _is_hidden(name[len(root) :]) and not _is_named(name)
        ]
        heads = files.cat_ranges(asked, 0, _HEAD_BYTES, on_error="return") if asked else []
        others = {name for name, head in zip(asked, heads, strict=True) if not _is_picture(head)}
        for name in batch:
            if name in others or _is_hidden(name[len(root) :]):
                on_left_out(name)
            else:
                yield name


def _is_hidden(below: str) -> bool:
    return any(part.startswith(".") for part in below.strip("/").split("/"))


def _is_named(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in _SUFFIXES  # noqa: PTH122


def _is_picture(head: bytes | Exception) -> bool:
    """Whether `head` begins a picture; one that cannot be read gets a row that says so."""
    if isinstance(head, Exception):
        return True
    try:
        sniff(head)
    except UnsupportedImageType:
        return False
    return True


def _lines(files: Any, root: str) -> Iterator[str]:
    """The lines of a list; bytes that are no UTF-8 as Python has them in names of files."""
    with files.open(root, "rb") as file:
        head = file.read(4)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), "")
    if not encoding:
        encoding = "utf-16-le" if head[1:2] == b"\0" else "utf-8"
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    with files.open(root, "r", encoding=encoding, errors=errors) as file:
        for line in file:
            if line.strip():
                yield line.strip("\r\n")


def _address(files: Any, name: str, source: str) -> str:
    """As the source was named: a path relative to where it was, or a whole address."""
    if _CHAIN in source:
        protocol = files.protocol if isinstance(files.protocol, str) else files.protocol[0]
        return f"{protocol}://{name}{source[source.index(_CHAIN) :]}"
    if not isinstance(files, LocalFileSystem):
        return str(files.unstrip_protocol(name))
    return name if os.path.isabs(source) or "://" in source else os.path.relpath(name)  # noqa: PTH117
