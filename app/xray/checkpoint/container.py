"""The two formats in which Keras saves a whole model, told by what is in the file.

Legacy HDF5 (`.h5`, `.hdf5`, Keras 2 and 3) has the configuration as an attribute, and so the
contract. Keras 3's zip (`.keras`, also of TensorFlow 2.12 to 2.15) has `config.json`,
`metadata.json` and `model.weights.h5`, and the contract as one more member, `cxr_contract.json`,
which Keras leaves alone. Names of files say nothing.
"""

from __future__ import annotations

import hashlib
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from app.xray.checkpoint import foreign
from app.xray.checkpoint.archive import copy_zip, is_zip, opened_zip
from app.xray.checkpoint.hdf5 import look_through
from app.xray.contract import ATTRIBUTE, read_text
from app.xray.errors import CheckpointCorrupt, CheckpointMissing, CheckpointRefused
from app.xray.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import h5py

    from app.xray.contract import ModelContract

Format = Literal["hdf5", "keras"]

MAX_FILE_BYTES: Final = 1 << 32
"""Weights, and the optimizer's two numbers for each."""


class Contents(NamedTuple):
    """What an open file holds of a model; nothing of it is believed yet."""

    format: Format
    config: str | bytes
    keras_version: str
    contract: str | bytes | None
    weights: h5py.Group
    """Legacy: the group `model_weights`; zip: the root of `model.weights.h5`."""


@contextmanager
def opened(path: Path) -> Iterator[Contents]:
    """The contents of the whole model at `path`, looked through, while the block lasts.

    Raises, beside what h5py raises for a damaged file:

    Raises:
        CheckpointMissing: no file there, or one that may not be read.
        CheckpointRefused: another format, which is named with what makes a Keras model of it, or
            members of absurd size.
        CheckpointCorrupt: neither HDF5 nor a zip file, or one that lacks a part.
    """
    import h5py

    head = _head(path)
    if is_zip(head):
        with opened_zip(path) as members:
            look_through(members.weights)
            yield Contents("keras", *members)
    elif h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            look_through(file["/"])
            yield _of_hdf5(file, path)
    elif said := foreign.tell(head, path.name):
        raise CheckpointRefused(f"it {said}")
    else:
        raise CheckpointCorrupt("not a readable HDF5 file, nor a .keras zip")


def write_contract(source: Path, contract: ModelContract, out: Path) -> None:
    """Write a copy of the checkpoint at `source` that carries `contract` to `out`, atomically.

    `out` has the format of `source`, whatever their names, and may be `source`. Configuration,
    weights and whatever else is in it are copied bit for bit; a contract that was there is
    replaced. HDF5 is copied into a new file, since it does not give back the room of an attribute
    that is written anew.

    Raises:
        CheckpointMissing, CheckpointRefused, CheckpointCorrupt: as `opened`.
    """
    try:
        with opened(source) as contents:
            zipped = contents.format == "keras"
        text = contract.model_dump_json()
        with replacing(out) as partial:
            if zipped:
                copy_zip(source, partial, text, max_bytes=MAX_FILE_BYTES)
            else:
                _copy_hdf5(source, partial, text)
    except (CheckpointMissing, CheckpointRefused, CheckpointCorrupt) as error:
        raise type(error)(f"{source}: {error}") from error


def file_sha256(path: Path) -> str:
    """The SHA-256 of a checkpoint file, in hexadecimal.

    Raises:
        CheckpointMissing: it cannot be read.
        CheckpointRefused: a SavedModel's folder; says what converts it.
    """
    try:
        if path.is_dir() and (said := foreign.saved_model(path)):
            raise CheckpointRefused(f"{path}: it {said}")
        with path.open("rb") as file:
            if file.seek(0, io.SEEK_END) > MAX_FILE_BYTES:
                raise CheckpointRefused(f"{path}: more than {MAX_FILE_BYTES:,} bytes")
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise CheckpointMissing(f"{path}: no such file") from error
    except OSError as error:
        raise CheckpointMissing(f"{path}: cannot be read: {error.strerror}") from error


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(foreign.HEAD_BYTES)
    except FileNotFoundError as error:
        raise CheckpointMissing("no such file") from error
    except OSError as error:
        raise CheckpointMissing(f"cannot be read: {error.strerror}") from error


def _of_hdf5(file: h5py.File, path: Path) -> Contents:
    import h5py

    if "model_config" not in file.attrs or not isinstance(file.get("model_weights"), h5py.Group):
        if "layer_names" in file.attrs or "layers" in file or "model_weights" in file:
            raise CheckpointRefused(f"it {foreign.weights_alone(path.name)}")
        raise CheckpointCorrupt(
            "no whole Keras model inside; save it with model.save('NAME.h5'), not save_weights"
        )
    version = read_text(file, "keras_version") if "keras_version" in file.attrs else ""
    return Contents(
        "hdf5",
        read_text(file, "model_config"),
        version.decode(errors="replace") if isinstance(version, bytes) else version,
        read_text(file, ATTRIBUTE) if ATTRIBUTE in file.attrs else None,
        file["model_weights"],
    )


def _copy_hdf5(source: Path, partial: Path, contract: str) -> None:
    import h5py

    with h5py.File(source, "r") as old, h5py.File(partial, "w") as new:
        for name in old:
            old.copy(name, new)
        for name in sorted(set(old.attrs) - {ATTRIBUTE}):
            new.attrs[name] = old.attrs[name]
        new.attrs[ATTRIBUTE] = contract
