"""A checkpoint file, inspected before anything in it is believed.

Deserializing a Keras .h5 can run code: a Lambda layer carries it, and a layer of another
module imports it. So the file is first read as plain HDF5; only Keras' own layers, of the kinds
that image classifiers are made of, go on to Keras.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np

from app.xray.checkpoint.architecture import (
    declared_input,
    declared_outputs,
    layers_of,
    read_architecture,
)
from app.xray.checkpoint.assumed import Outline, assume
from app.xray.checkpoint.hdf5 import look_through, refuse_repeated_weights
from app.xray.contract import ModelContract, read_text
from app.xray.errors import CheckpointCorrupt, CheckpointError, CheckpointMissing, CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_ENDINGS: Final = frozenset({".h5", ".hdf5"})
_MAX_FILE_BYTES: Final = 1 << 32
"""Weights, and the optimizer's two numbers for each."""
_MAX_MESSAGE: Final = 1_000
"""Characters of a message that may quote a checkpoint, which may have names of any length."""


@dataclass(frozen=True)
class Checkpoint:
    """An inspected checkpoint.

    `sha256` is that of the whole file; `config` is Keras' model configuration, mended so that
    Keras 3 reads it; `assumption` is a sentence that says what of `contract` was assumed or said
    by somebody, None where the file carries it.
    """

    path: Path
    sha256: str
    config: dict[str, Any]
    contract: ModelContract
    assumption: str | None = None

    @property
    def carries_contract(self) -> bool:
        """Whether the file says itself what it takes and gives."""
        return self.assumption is None

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def read_checkpoint(
    path: Path,
    *,
    sha256: str | None = None,
    classes: Sequence[str] | None = None,
    said: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Read and inspect the .h5 at `path` without deserializing anything of it.

    Args:
        path: a whole model as Keras 2 or Keras 3 saves it, with or without optimizer state.
        sha256: 64 hexadecimal digits that the file must have; compared before it is parsed.
        classes: names of the outputs in order, for a file that carries no contract.
        said: how a picture becomes an input, as `app.xray.contract.parse_input` gives it, for a
            file that carries no contract; the network of 2022 needs it not.

    Raises:
        CheckpointMissing: no file at `path`.
        CheckpointCorrupt: not HDF5, no whole Keras model, or one whose configuration takes or
            gives another shape than the contract says.
        CheckpointRefused: another ending or digest, a layer that could run code or is of absurd
            size, a link out of the file, contents that Keras does not write; no contract, and not
            all of it known or said (see `app.xray.checkpoint.assumed`).
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
            look_through(file)
            config = _model_config(file)
            refuse_repeated_weights(file)
            contract = ModelContract.read(file)
    except CheckpointError as error:
        raise type(error)(f"{path}: {brief(error)}") from error
    except Exception as error:  # h5py documents no closed set of errors for corrupt files
        raise CheckpointCorrupt(f"{path}: not a readable HDF5 file: {brief(error)}") from error
    assumption = None
    if contract is None:
        try:
            contract, assumption = assume(_outline(config), classes, said)
        except CheckpointRefused as error:
            raise CheckpointRefused(f"{path}: {error}") from error
    checkpoint = Checkpoint(path, digest, config, contract, assumption)
    _refuse_other_shapes(checkpoint)
    return checkpoint


def refuse_unless_shapes(inputs: object, outputs: object, checkpoint: Checkpoint) -> None:
    """Hold a network's shapes, (None, height, width, channels) and (None, classes).

    They are tuples where the network has one input and one output; others do not pass.

    Raises:
        CheckpointCorrupt: the contract says another shape, or has another number of classes.
    """
    contract = checkpoint.contract
    expected = (None, *contract.input_shape)
    if inputs != expected:
        raise CheckpointCorrupt(
            f"{checkpoint.path}: the model takes {brief(inputs)}, the contract says {expected}"
        )
    if outputs not in [(None, count) for count in contract.network_outputs]:
        hint = "" if checkpoint.carries_contract else "; CXR_CLASSES names the service's"
        raise CheckpointCorrupt(
            f"{checkpoint.path}: the model gives {brief(outputs)}, the contract has "
            f"{len(contract.classes)} classes ({', '.join(contract.classes)}){hint}"
        )


def refuse_unless_probabilities(answers: NDArray[np.floating[Any]], checkpoint: Checkpoint) -> None:
    """Hold the probabilities, (n, classes), in what a network gave against what they must be.

    That is 0 to 1, and in each row a sum of 1, unless each class is judged by itself.

    Raises:
        CheckpointCorrupt: the answers are no probabilities of the contract's classes.
    """
    contract = checkpoint.contract
    count = len(contract.classes)
    is_one = answers.ndim == 2 and answers.shape[1] == count and bool(np.all(answers >= 0))
    if contract.multi_label:
        is_one = is_one and bool(np.all(answers <= 1))
    else:
        is_one = is_one and bool(np.all(np.abs(answers.sum(axis=1) - 1) < 1e-3))
    if not is_one:
        raise CheckpointCorrupt(
            f"{checkpoint.path}: the model answers {answers[0].tolist()}, no probabilities of "
            f"{count} classes; its contract says that it ends in {contract.output}"
        )


def brief(subject: object) -> str:
    """`subject` as text, cut where a hostile checkpoint would fill the log with it."""
    text = str(subject)
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}..."


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


def _model_config(file: h5py.File) -> dict[str, Any]:
    if "model_config" not in file.attrs or "model_weights" not in file:
        raise CheckpointCorrupt(
            "no whole Keras model inside; save it with model.save('NAME.h5'), not save_weights"
        )
    version = read_text(file, "keras_version") if "keras_version" in file.attrs else ""
    is_keras_2 = version[:2] in ("2.", b"2.")
    return read_architecture(read_text(file, "model_config"), is_keras_2=is_keras_2)


def _outline(config: dict[str, Any]) -> Outline:
    shape = declared_input(config)
    return Outline(list(layers_of(config)), shape and shape[1:], declared_outputs(config))


def _refuse_other_shapes(checkpoint: Checkpoint) -> None:
    """Hold what the configuration says of its ends against the contract, before it is built."""
    contract = checkpoint.contract
    inputs = declared_input(checkpoint.config) or (None, *contract.input_shape)
    outputs = declared_outputs(checkpoint.config) or contract.network_outputs[0]
    refuse_unless_shapes(inputs, (None, outputs), checkpoint)
