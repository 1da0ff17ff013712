"""The contents of an HDF5 file, walked before Keras reads them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import h5py

from app.xray.errors import CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_WEIGHT_BYTES: Final = 1 << 30
_MAX_LINKS: Final = 50_000
_TOP_LEVEL: Final = "top_level_model_weights"


def look_through(file: h5py.File) -> None:
    """Let no byte come from outside the file, and nothing grow beyond memory when it is read.

    What is let through is what Keras writes: groups, plain arrays of numbers, attributes of fixed
    size and texts. Compression, which makes much of little, and references are not among them. All
    values are read once: who reads them later comes upon no damage any more.

    Raises:
        CheckpointRefused: something else is there, or more than `MAX_WEIGHT_BYTES`; names it.
    """
    total = links = 0
    pending, seen = [file["/"]], set()
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
                raise CheckpointRefused(f"{where}: more than {_MAX_LINKS:,} groups and arrays")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise CheckpointRefused(f"{where} is an external or soft link")
            item = group[name]
            if isinstance(item, h5py.Group):
                pending.append(item)
            if not isinstance(item, h5py.Dataset):
                continue
            total += _bytes_of(item, where)
            if total > MAX_WEIGHT_BYTES:
                raise CheckpointRefused(f"{where}: more than {MAX_WEIGHT_BYTES:,} bytes of weights")
            _read_attributes(item, where)
            _ = item[()]


def refuse_repeated_weights(file: h5py.File) -> None:
    """Add up what Keras would read by name: a layer may name the same array any number of times.

    Leaves names that lead nowhere to Keras.

    Raises:
        CheckpointRefused: more than `MAX_WEIGHT_BYTES`; names the layer.
    """
    weights = file if "layer_names" in file.attrs else file["model_weights"]
    total = count = 0
    for layer in [*_names(weights, "layer_names"), _TOP_LEVEL]:
        group = weights.get(layer)
        names = _names(group, "weight_names") if isinstance(group, h5py.Group) else ()
        for name in [None, *names]:  # a layer without any takes its time too
            item = None if name is None else group.get(name)
            total += item.nbytes if isinstance(item, h5py.Dataset) else 0
            count += 1
            if total > MAX_WEIGHT_BYTES or count > _MAX_LINKS:
                raise CheckpointRefused(
                    f"layer {layer!r} names arrays of more than {MAX_WEIGHT_BYTES:,} bytes of "
                    "weights, or the same ones over and over"
                )


def _bytes_of(item: h5py.Dataset, where: str) -> int:
    """What reading it takes, whatever of it is stored."""
    if item.external or item.is_virtual:
        raise CheckpointRefused(f"{where} keeps its values in another file")
    if item.dtype.kind not in "biuf":
        raise CheckpointRefused(f"{where} holds {item.dtype}, no numbers")
    if item.id.get_create_plist().get_nfilters():
        raise CheckpointRefused(
            f"{where} is compressed, which can make gigabytes of a few bytes and Keras never does; "
            "`h5repack -f NONE` undoes it"
        )
    return max(int(item.nbytes), math.prod(item.chunks or ()) * int(item.dtype.itemsize))


def _read_attributes(item: h5py.Group | h5py.Dataset, where: str) -> None:
    for name in item.attrs:
        attribute = item.attrs.get_id(name)
        if attribute.dtype.hasobject and h5py.check_string_dtype(attribute.dtype) is None:
            raise CheckpointRefused(f"{where}: the attribute {name} holds references")
        if math.prod(attribute.shape or ()) > _MAX_LINKS:
            raise CheckpointRefused(
                f"{where}: the attribute {name} has more than {_MAX_LINKS:,} entries"
            )
        _ = item.attrs[name]


def _names(group: h5py.Group, attribute: str) -> Iterator[Any]:
    """Names that Keras keeps in an attribute or, where they are many, in several counted ones."""
    if attribute in group.attrs:
        yield from group.attrs[attribute]
        return
    part = 0
    while f"{attribute}{part}" in group.attrs:
        yield from group.attrs[f"{attribute}{part}"]
        part += 1
