"""A checkpoint file, inspected before anything in it is believed.

Deserializing a Keras .h5 can run code: a Lambda layer carries it, and a layer of another
module imports it. So the file is first read as plain HDF5; only Keras' own layers, of the kinds
that image classifiers are made of, go on to Keras.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np

from app.xray.architecture import declared_input, declared_outputs, read_architecture
from app.xray.contract import DEFAULT_CLASSES, ModelContract, read_text
from app.xray.errors import (
    CheckpointCorrupt,
    CheckpointError,
    CheckpointMissing,
    CheckpointRefused,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_ENDINGS: Final = frozenset({".h5", ".hdf5"})
MAX_WEIGHT_BYTES: Final = 1 << 30
_MAX_FILE_BYTES: Final = 1 << 32
"""Weights, and the optimizer's two numbers for each."""


@dataclass(frozen=True)
class Checkpoint:
    """An inspected checkpoint.

    `sha256` is that of the whole file; `config` is Keras' model configuration, mended so that
    Keras 3 reads it; `carries_contract` is False where `contract` was assumed, as for a file
    of 2022.
    """

    path: Path
    sha256: str
    config: dict[str, Any]
    contract: ModelContract
    carries_contract: bool

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def read_checkpoint(
    path: Path, *, sha256: str | None = None, classes: Sequence[str] = DEFAULT_CLASSES
) -> Checkpoint:
    """Read and inspect the .h5 at `path` without deserializing anything of it.

    Args:
        path: a whole model as Keras 2 or Keras 3 saves it, with or without optimizer state.
        sha256: 64 hexadecimal digits that the file must have; compared before it is parsed.
        classes: names of the outputs in order, for a file that carries no contract.

    Raises:
        CheckpointMissing: no file at `path`.
        CheckpointCorrupt: not HDF5, no whole Keras model, or one whose configuration takes or
            gives another shape than the contract says.
        CheckpointRefused: another ending or digest, a layer that could run code or is of absurd
            size, a link out of the file.
    """
    if path.suffix not in _ENDINGS or path.name.endswith(".weights.h5"):
        raise CheckpointRefused(
            f"{path}: Keras tells formats by their names; a whole model's is NAME.h5"
        )
    if path.is_file() and path.stat().st_size > _MAX_FILE_BYTES:
        raise CheckpointRefused(f"{path}: more than {_MAX_FILE_BYTES:,} bytes")
    digest = file_sha256(path)
    if sha256 is not None and not hmac.compare_digest(digest, sha256.lower()):
        raise CheckpointRefused(f"{path}: SHA-256 is {digest}, but {sha256.lower()} is demanded")
    try:
        with h5py.File(path, "r") as file:
            _look_through(file)
            config = _model_config(file)
            contract = ModelContract.read(file)
    except CheckpointError as error:
        raise type(error)(f"{path}: {error}") from error
    except Exception as error:  # h5py documents no closed set of errors for corrupt files
        raise CheckpointCorrupt(f"{path}: not a readable HDF5 file: {error}") from error
    checkpoint = Checkpoint(
        path=path,
        sha256=digest,
        config=config,
        contract=contract or ModelContract.recipe_of_2022(classes),
        carries_contract=contract is not None,
    )
    _refuse_other_shapes(checkpoint)
    return checkpoint


def refuse_unless_shapes(
    input_shape: Sequence[int | None], outputs: int | None, checkpoint: Checkpoint
) -> None:
    """Hold a network's input, (height, width, channels), and the number of its outputs.

    Raises:
        CheckpointCorrupt: the contract says another shape, or has another number of classes.
    """
    contract = checkpoint.contract
    if tuple(input_shape) != contract.input_shape:
        raise CheckpointCorrupt(
            f"{checkpoint.path}: the model takes {tuple(input_shape)}, "
            f"the contract says {contract.input_shape}"
        )
    if outputs != len(contract.classes):
        hint = "" if checkpoint.carries_contract else "; CXR_CLASSES names the service's"
        raise CheckpointCorrupt(
            f"{checkpoint.path}: the model gives {outputs} outputs, the contract has "
            f"{len(contract.classes)} classes ({', '.join(contract.classes)}){hint}"
        )


def refuse_unless_distributions(answers: NDArray[np.floating[Any]], checkpoint: Checkpoint) -> None:
    """Hold what a network gave, (n, classes), against what a softmax gives.

    Raises:
        CheckpointCorrupt: the answers are no probabilities of the contract's classes.
    """
    count = len(checkpoint.contract.classes)
    is_one = (
        answers.ndim == 2
        and answers.shape[1] == count
        and bool(np.all(answers >= 0))
        and bool(np.all(np.abs(answers.sum(axis=1) - 1) < 1e-3))
    )
    if not is_one:
        raise CheckpointCorrupt(
            f"{checkpoint.path}: the model answers {answers[0].tolist()}, no probabilities of "
            f"{count} classes; it must end in a softmax"
        )


def file_sha256(path: Path) -> str:
    """The SHA-256 of a checkpoint file, in hexadecimal.

    Raises `CheckpointMissing` where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise CheckpointMissing(f"{path}: no such file") from error
    except OSError as error:
        raise CheckpointMissing(f"{path}: cannot be read: {error.strerror}") from error


def _look_through(file: h5py.File) -> None:
    """Let no byte come from outside the file, and no shape promise more than memory holds.

    All values are read once: who reads them later comes upon no damage any more.
    """
    total = 0
    pending, seen = [file["/"]], set()
    while pending:
        group = pending.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:  # hard links may lead in a circle
            continue
        seen.add(address)
        _read_attributes(group)
        for name in group:
            where = f"{(group.name or '').rstrip('/')}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise CheckpointRefused(f"{where} is an external or soft link")
            item = group[name]
            if isinstance(item, h5py.Group):
                pending.append(item)
            if not isinstance(item, h5py.Dataset):
                continue
            if item.external or item.is_virtual:
                raise CheckpointRefused(f"{where} keeps its values in another file")
            total += max(item.nbytes, math.prod(item.chunks or ()) * item.dtype.itemsize)
            if total > MAX_WEIGHT_BYTES:
                raise CheckpointRefused(f"{where}: more than {MAX_WEIGHT_BYTES} bytes of weights")
            _read_attributes(item)
            _ = item[()]


def _read_attributes(item: h5py.Group | h5py.Dataset) -> None:
    for name in item.attrs:
        _ = item.attrs[name]


def _model_config(file: h5py.File) -> dict[str, Any]:
    if "model_config" not in file.attrs or "model_weights" not in file:
        raise CheckpointCorrupt(
            "no whole Keras model inside; save it with model.save('NAME.h5'), not save_weights"
        )
    is_keras_2 = str(file.attrs.get("keras_version", "")).startswith("2.")
    return read_architecture(read_text(file, "model_config"), is_keras_2=is_keras_2)


def _refuse_other_shapes(checkpoint: Checkpoint) -> None:
    """Hold what the configuration says of its ends against the contract, before it is built."""
    contract = checkpoint.contract
    refuse_unless_shapes(
        declared_input(checkpoint.config) or contract.input_shape,
        declared_outputs(checkpoint.config) or len(contract.classes),
        checkpoint,
    )
