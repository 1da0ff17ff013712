"""The contents of an HDF5 file, walked before anything of them is used."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from app.xray.errors import CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py

MAX_WEIGHT_BYTES: Final = 1 << 30
_MAX_LINKS: Final = 50_000
_OPTIMIZERS: Final = frozenset({"/optimizer", "/optimizer_weights"})
"""Groups of Keras 3's file of weights and of a legacy file: never read, and of any size."""


def look_through(root: h5py.Group) -> None:
    """Let no byte come from outside the file, and nothing grow beyond memory when it is read.

    What is let through is what Keras writes: groups, plain arrays of numbers that are stored as
    they are, attributes of fixed size and texts. Compression, which makes much of little, values
    that are declared and not stored, and references are not among them. All values but the
    optimizer's are read once: who reads them later comes upon no damage any more.

    Raises:
        CheckpointRefused: something else is there, or more than `MAX_WEIGHT_BYTES`; names it.
    """
    import h5py

    total = links = 0
    pending, seen = [root], set()
    while pending:
        group = pending.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:  # hard links may lead in a circle
            continue
        seen.add(address)
        _read_attributes(group, group.name or "")
        for name in group:
            where = f"{(group.name or '').rstrip('/')}/{name}"
            links += 1
            if links > _MAX_LINKS:
                raise CheckpointRefused(
                    f"{_cut(where)}: more than {_MAX_LINKS:,} groups and arrays"
                )
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise CheckpointRefused(f"{_cut(where)} is an external or soft link")
            if where in _OPTIMIZERS:
                continue
            item = group[name]
            if isinstance(item, h5py.Group):
                pending.append(item)
            if not isinstance(item, h5py.Dataset):
                continue
            total += _bytes_of(item, _cut(where))
            if total > MAX_WEIGHT_BYTES:
                raise CheckpointRefused(
                    f"{_cut(where)}: more than {MAX_WEIGHT_BYTES:,} bytes of weights"
                )
            _read_attributes(item, where)
            _ = item[()]


def names_in(group: h5py.Group, attribute: str) -> Iterator[str]:
    """Names that Keras keeps in an attribute or, where they are many, in several counted ones."""
    part = -1
    while (name := attribute if part < 0 else f"{attribute}{part}") in group.attrs or part < 0:
        for value in group.attrs.get(name, ()):
            yield value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        part += 1


def _bytes_of(item: h5py.Dataset, where: str) -> int:
    """What reading it takes."""
    if item.external or item.is_virtual:
        raise CheckpointRefused(f"{where} keeps its values in another file")
    if item.dtype.kind not in "biuf":
        raise CheckpointRefused(f"{where} holds {_cut(str(item.dtype))}, no numbers")
    if item.id.get_create_plist().get_nfilters():
        raise CheckpointRefused(
            f"{where} is compressed, which can make gigabytes of a few bytes and Keras never does; "
            "`h5repack -f NONE` undoes it"
        )
    size = max(int(item.nbytes), math.prod(item.chunks or ()) * int(item.dtype.itemsize))
    if size > MAX_WEIGHT_BYTES:
        raise CheckpointRefused(f"{where}: more than {MAX_WEIGHT_BYTES:,} bytes of weights")
    if item.id.get_storage_size() < item.nbytes:
        raise CheckpointRefused(
            f"{where} declares {item.nbytes:,} bytes and stores {item.id.get_storage_size():,}"
        )
    return size


def _read_attributes(item: Any, where: str) -> None:
    import h5py

    for name in item.attrs:
        attribute = item.attrs.get_id(name)
        if attribute.dtype.hasobject and h5py.check_string_dtype(attribute.dtype) is None:
            raise CheckpointRefused(f"{_cut(where)}: the attribute {_cut(name)} holds references")
        if math.prod(attribute.shape or ()) > _MAX_LINKS:
            raise CheckpointRefused(
                f"{_cut(where)}: the attribute {_cut(name)} has more than {_MAX_LINKS:,} entries"
            )
        _ = item.attrs[name]


def _cut(name: str) -> str:
    return name if len(name) <= 120 else f"{name[:60]}...{name[-50:]}"
