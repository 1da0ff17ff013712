from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import h5py
import pytest

from app.xray.checkpoint.global_heap import refuse_hostile_heaps
from app.xray.errors import CheckpointCorrupt, CheckpointRefused

if TYPE_CHECKING:
    from pathlib import Path

LONG = "x" * 5_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a heap of two objects and what is free behind them."""
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as file:
        file.attrs.create("texts", [LONG, "short"], dtype=h5py.string_dtype())
    return path


def overwrite(path: Path, place: int, value: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[place : place + len(value)] = value
    path.write_bytes(data)


def object_place(path: Path, number: int) -> int:
    """Where the object of this number, 0 for what is free, has its header."""
    data = path.read_bytes()
    place = data.index(b"GCOL") + 16
    while (found := struct.unpack_from("<H6xQ", data, place))[0] != number:
        place += 16 + (found[1] + 7) // 8 * 8
    return place


def test_heaps_as_the_library_writes_them_are_let_through(path: Path) -> None:
    refuse_hostile_heaps(path)


@pytest.mark.parametrize("number", [0, 1, 2], ids="object {}".format)
@pytest.mark.parametrize(
    "length",
    [
        pytest.param(0, id="none"),
        pytest.param(1 << 40, id="beyond-the-heap"),
        pytest.param((1 << 64) - 1, id="so-long-that-a-sum-begins-anew"),
        pytest.param((1 << 64) - 24, id="backwards"),
    ],
)
def test_a_heap_that_leads_nowhere_is_corrupt(path: Path, number: int, length: int) -> None:
    """libhdf5 follows some of them for ever, so that none is shown to it here."""
    place = object_place(path, number)
    overwrite(path, place, struct.pack("<H6xQ", 0, length))
    with pytest.raises(CheckpointCorrupt, match="a global heap leads nowhere"):
        refuse_hostile_heaps(path)


def test_a_heap_beyond_the_files_end_is_corrupt(path: Path) -> None:
    overwrite(path, path.read_bytes().index(b"GCOL") + 8, struct.pack("<Q", 1 << 50))
    with pytest.raises(CheckpointCorrupt, match="goes beyond its end"):
        refuse_hostile_heaps(path)


def test_a_heap_hidden_in_the_text_of_another_is_followed_too(path: Path) -> None:
    hidden = struct.pack("<5s3xQH6xQ", b"GCOL\1", 64, 0, 0)
    overwrite(path, object_place(path, 1) + 32, hidden)
    with pytest.raises(CheckpointCorrupt, match="a global heap leads nowhere"):
        refuse_hostile_heaps(path)


def test_a_long_text_that_many_references_stand_for_is_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs.create("more", ["short"] * 10, dtype=h5py.string_dtype())
    data = path.read_bytes()
    heaps = [heap.start() for heap in re.finditer(b"GCOL", data)]
    reference = data.index(struct.pack("<IQ", len(LONG), heaps[0]))
    for heap in heaps:
        for short in re.finditer(re.escape(struct.pack("<IQ", len("short"), heap)), data):
            overwrite(path, short.start(), data[reference : reference + 16])
    with h5py.File(path) as file:
        assert list(file.attrs["more"]) == [LONG] * 10
    with pytest.raises(CheckpointRefused, match="a text of 5,000 bytes is referred to over and"):
        refuse_hostile_heaps(path)


def test_more_long_texts_than_any_checkpoints_are_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs.create("more", [LONG] * 101, dtype=h5py.string_dtype())
    with pytest.raises(CheckpointRefused, match="more than 100 long ones"):
        refuse_hostile_heaps(path)


@pytest.mark.parametrize("version", ["earliest", "v108", "latest"])
def test_every_version_of_the_format_is_read(tmp_path: Path, version: str) -> None:
    with h5py.File(tmp_path / "texts.h5", "w", libver=(version, "latest")) as file:
        file.attrs["text"] = LONG
    refuse_hostile_heaps(tmp_path / "texts.h5")


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, b"\0"), (8, b"\x09"), (13, b"\x04"), (14, b"\x04")],
    ids=["signature", "version", "addresses-of-4-bytes", "lengths-of-4-bytes"],
)
def test_a_file_of_another_layout_is_corrupt(path: Path, place: int, value: bytes) -> None:
    overwrite(path, place, value)
    with pytest.raises(CheckpointCorrupt, match="not a readable HDF5 file"):
        refuse_hostile_heaps(path)


def test_a_signature_that_ends_a_file_is_corrupt(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:8])
    with pytest.raises(CheckpointCorrupt, match="its superblock is none"):
        refuse_hostile_heaps(path)
