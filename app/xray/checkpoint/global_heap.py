"""HDF5's global heaps, where texts of no fixed length lie, looked at before libhdf5 walks them.

libhdf5 walks a heap from object to object by their lengths, and for ever where one has none: it
holds the interpreter meanwhile, so that neither another thread nor Ctrl-C gets on. And an array of
such texts is one of references, of which any number may stand for the same long text.
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from app.xray.errors import CheckpointCorrupt, CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILE_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_PLACE_OF_LENGTHS: Final = {0: 14, 1: 14, 2: 10, 3: 10}
"""Where each version of the superblock says how many bytes a length has."""
_HEAP_SIGNATURE: Final = b"GCOL\x01"
_HEADER: Final = struct.Struct("<8xQ")
"""Of a heap: its size, with this header."""
_HEADER_OF_OBJECT: Final = struct.Struct("<H6xQ")
"""Its number, 0 for what is free, and its length, which counts this header where it is free."""
_REFERENCE: Final = struct.Struct("<IQI")
"""To an object: its length, its heap's address and its number; libhdf5 follows no other."""
_MAX_OBJECTS: Final = 100_000
_LONG: Final = 4096
"""Bytes of a text that is more than a layer's or an array's name."""
_MAX_LONG: Final = 100
"""Keras writes one or two: configurations of the model and of its training."""
_MAX_REFERENCES: Final = 4
"""To a long text: Keras writes one, and chance may add what looks like another."""


class _Object(NamedTuple):
    heap: int
    number: int
    length: int


def refuse_hostile_heaps(path: Path) -> None:
    """Follow every global heap in the file at `path`, wherever it lies, as libhdf5 would.

    Raises:
        CheckpointCorrupt: no HDF5 file, or one whose heap leads nowhere.
        CheckpointRefused: its heaps hold more than any checkpoint's, or a long text that is
            referred to over and over.
    """
    with path.open("rb") as file:
        if file.read(len(_FILE_SIGNATURE)) != _FILE_SIGNATURE:
            raise CheckpointCorrupt("not a readable HDF5 file: it does not begin as one")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _refuse_other_lengths(data)
            long_ones = []
            for count, item in enumerate(_objects(data)):
                if item.number and item.length > _LONG:
                    long_ones.append(item)
                if count > _MAX_OBJECTS or len(long_ones) > _MAX_LONG:
                    raise CheckpointRefused(
                        f"more than {_MAX_OBJECTS:,} texts, or more than {_MAX_LONG} long ones"
                    )
            for item in long_ones:
                _refuse_repetition(data, item)


def _refuse_other_lengths(data: mmap.mmap) -> None:
    """Heaps are read here with lengths and addresses of 8 bytes, as every library writes them."""
    place = _PLACE_OF_LENGTHS.get(data[8]) if len(data) > max(_PLACE_OF_LENGTHS.values()) else None
    if place is None or data[place - 1 : place + 1] != b"\x08\x08":
        raise CheckpointCorrupt("not a readable HDF5 file: its superblock is none")


def _objects(data: mmap.mmap) -> Iterator[_Object]:
    """All that look like objects of a heap; a heap may hide in an object of another."""
    heap = data.find(_HEAP_SIGNATURE)
    while heap >= 0:
        yield from _objects_of(data, heap)
        heap = data.find(_HEAP_SIGNATURE, heap + 1)


def _objects_of(data: mmap.mmap, heap: int) -> Iterator[_Object]:
    place = heap + _HEADER.size
    end = heap + _HEADER.unpack_from(data, heap)[0] if place <= len(data) else place
    if end > len(data):
        raise CheckpointCorrupt("not a readable HDF5 file: a global heap goes beyond its end")
    while place + _HEADER_OF_OBJECT.size <= end:
        number, length = _HEADER_OF_OBJECT.unpack_from(data, place)
        size = _HEADER_OF_OBJECT.size
        step = size + (length + 7) // 8 * 8 if number else length
        if step < size or place + step > end:
            raise CheckpointCorrupt("not a readable HDF5 file: a global heap leads nowhere")
        yield _Object(heap, number, length)
        place += step


def _refuse_repetition(data: mmap.mmap, item: _Object) -> None:
    reference = _REFERENCE.pack(item.length & 0xFFFFFFFF, item.heap, item.number)
    place = -1
    for _ in range(_MAX_REFERENCES + 1):
        place = data.find(reference, place + 1)
        if place < 0:
            return
    raise CheckpointRefused(f"a text of {item.length:,} bytes is referred to over and over")
