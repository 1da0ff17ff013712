"""Keras 3's zip file: its members, bounded before any is read."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from app.xray.checkpoint import foreign
from app.xray.contract import ATTRIBUTE
from app.xray.errors import CheckpointCorrupt, CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import h5py

CONTRACT_MEMBER: Final = f"{ATTRIBUTE}.json"
_CONFIG: Final = "config.json"
_METADATA: Final = "metadata.json"
_WEIGHTS: Final = "model.weights.h5"
_MAX_TEXT_BYTES: Final = 1 << 24
_MAX_MEMBERS: Final = 1_000
_MAX_COMPRESSED: Final = 1 << 30
"""Bytes that a member may have once it is decompressed, which is done in memory."""
_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")
"""PKWARE's APPNOTE.TXT, 4.3.7: signature, and the lengths of the name and of what follows it."""
_PIECE_BYTES: Final = 1 << 20


class Members(NamedTuple):
    """Those of a `.keras` file; `weights` is the root of the HDF5 file among them."""

    config: bytes
    keras_version: str
    contract: bytes | None
    weights: h5py.Group


def is_zip(head: bytes) -> bool:
    """Whether a file that begins with `head` is a zip file."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


@contextmanager
def opened_zip(path: Path) -> Iterator[Members]:
    """The members of the `.keras` file at `path`, while the block lasts.

    Raises:
        CheckpointRefused: it is no Keras model, and is named with what makes one of it; or a
            member is of absurd size.
        CheckpointCorrupt: it is no readable zip file, or its checksums do not hold.
    """
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) > _MAX_MEMBERS or len(set(names)) != len(names):
                raise CheckpointRefused(
                    f"its zip file has more than {_MAX_MEMBERS:,} members, or two of one name"
                )
            if not {_CONFIG, _WEIGHTS} <= set(names):
                raise CheckpointRefused(f"it {foreign.tell_zip(archive)}")
            with _member(archive, path) as stream, h5py.File(stream, "r") as file:
                yield Members(
                    _text(archive, _CONFIG),
                    _keras_version(archive) if _METADATA in names else "",
                    _text(archive, CONTRACT_MEMBER) if CONTRACT_MEMBER in names else None,
                    file["/"],
                )
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise CheckpointCorrupt(f"not a readable .keras zip: {error}") from error


def copy_zip(source: Path, into: Path, contract: str, *, max_bytes: int) -> None:
    """Copy the zip file at `source`, its contract replaced by `contract`, JSON.

    Members are stored, not compressed, as Keras stores them.

    Raises:
        CheckpointRefused: they have more than `max_bytes`.
    """
    left = max_bytes
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(into, "w") as new:
        for member in old.infolist():
            left -= member.file_size
            if left < 0:
                raise CheckpointRefused(f"its members have more than {max_bytes:,} bytes")
            if member.filename == CONTRACT_MEMBER:
                continue
            copied = zipfile.ZipInfo(member.filename, member.date_time)
            copied.file_size = member.file_size
            with old.open(member) as piece, new.open(copied, "w") as out:
                shutil.copyfileobj(piece, out, _PIECE_BYTES)
        new.writestr(CONTRACT_MEMBER, contract)


@contextmanager
def _member(archive: zipfile.ZipFile, path: Path) -> Iterator[BinaryIO | io.BufferedIOBase]:
    """The weights as a file of their own; its checksum holds.

    A stored member is read where it lies: to jump about in it, as HDF5 does, `zipfile` would read
    it anew from its beginning.
    """
    member = archive.getinfo(_WEIGHTS)
    if member.flag_bits & 1:
        raise CheckpointRefused(f"{_WEIGHTS} is encrypted")
    if member.compress_type == zipfile.ZIP_STORED:
        with archive.open(member) as whole:
            while whole.read(_PIECE_BYTES):
                pass
        with path.open("rb") as file:
            yield io.BufferedReader(_Window(file, member), _PIECE_BYTES)
        return
    if member.file_size > _MAX_COMPRESSED:
        raise CheckpointRefused(
            f"{_WEIGHTS} is compressed and has more than {_MAX_COMPRESSED:,} bytes; Keras stores it"
        )
    with archive.open(member) as whole:
        content = whole.read(_MAX_COMPRESSED + 1)
    if len(content) > member.file_size:
        raise CheckpointCorrupt(f"{_WEIGHTS} has more bytes than the zip file says")
    yield io.BytesIO(content)


def _text(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        text = file.read(_MAX_TEXT_BYTES + 1)
    if len(text) > _MAX_TEXT_BYTES:
        raise CheckpointRefused(f"{name} has more than {_MAX_TEXT_BYTES:,} bytes")
    return text


def _keras_version(archive: zipfile.ZipFile) -> str:
    try:
        metadata: Any = json.loads(_text(archive, _METADATA))
        return str(metadata["keras_version"])[:40]
    except (LookupError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointCorrupt(f"{_METADATA} does not say which Keras wrote it") from error


class _Window(io.RawIOBase):
    """The bytes of a stored member of the zip file that is open as `file`."""

    def __init__(self, file: BinaryIO, member: zipfile.ZipInfo) -> None:
        self._file = file
        file.seek(member.header_offset)
        head = file.read(_LOCAL_HEADER.size)
        if len(head) < _LOCAL_HEADER.size:
            raise zipfile.BadZipFile("a member lies behind the end of the file")
        _, name, extra = _LOCAL_HEADER.unpack(head)
        self._start = member.header_offset + _LOCAL_HEADER.size + name + extra
        self._size = member.file_size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        count = max(min(len(buffer), self._size - self._place), 0)
        self._file.seek(self._start + self._place)
        piece = self._file.read(count)
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)
