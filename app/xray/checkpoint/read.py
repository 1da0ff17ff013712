"""A checkpoint file, inspected before anything in it is believed.

Deserializing a Keras model can run code: a Lambda layer carries it, and a layer of another module
imports it. So nothing is deserialized. The file is read as plain HDF5 or zip, its configuration as
plain JSON, and of that only what Keras' own layers for images need goes on.
"""

from __future__ import annotations

import hmac
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from pydantic import ValidationError

from app.xray.checkpoint.architecture import (
    BYTES_A_NUMBER,
    Architecture,
    Sums,
    add_up,
    read_architecture,
)
from app.xray.checkpoint.assumed import assume, outline_of
from app.xray.checkpoint.container import Contents, file_sha256, opened
from app.xray.checkpoint.weights import find_weights
from app.xray.contract import ATTRIBUTE, ModelContract
from app.xray.errors import CheckpointCorrupt, CheckpointError, CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

from app.xray.checkpoint.container import Format

_MAX_MESSAGE: Final = 300
"""Characters of what a message quotes, so that it stays on a line."""


@dataclass(frozen=True)
class Checkpoint:
    """An inspected checkpoint.

    `sha256` is that of the whole file; `assumption` is a sentence that says what of `contract` was
    assumed or said by somebody, None where the file carries it. `weight_bytes` and `alive_bytes`
    are what the network takes: its weights, and the most that is held at once of one picture.
    """

    path: Path
    sha256: str
    contract: ModelContract
    assumption: str | None = None
    weight_bytes: int = 0
    alive_bytes: int = 0

    @property
    def carries_contract(self) -> bool:
        """Whether the file says itself what it takes and gives."""
        return self.assumption is None

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


class Inspected(NamedTuple):
    """What a file says of its model by itself."""

    sha256: str
    format: Format
    architecture: Architecture
    contract: ModelContract | None


class OpenedCheckpoint(NamedTuple):
    """An open file, and the network that it describes."""

    contents: Contents
    architecture: Architecture


def inspect_checkpoint(path: Path) -> Inspected:
    """What the file at `path`, of either format, says of its model, contract or none.

    Nothing of it is built. `architecture.input_shape` is (height, width, channels), None for what
    the file leaves open; `architecture.last()` is the layer that gives its output; `add_up` tells
    every shape for a picture of a size, and refuses what is too large.

    Raises:
        CheckpointError: as `read_checkpoint`, but for the digest and the contract's shapes.
    """
    digest = file_sha256(path)
    try:
        with opened_checkpoint(path) as (contents, architecture):
            contract = _contract(contents)
            return Inspected(digest, contents.format, architecture, contract)
    except CheckpointError as error:
        raise type(error)(f"{path}: {error}") from error


def read_checkpoint(
    path: Path,
    *,
    sha256: str | None = None,
    classes: Sequence[str] | None = None,
    said: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Read and inspect the .h5 or .keras at `path` without deserializing anything of it.

    Args:
        path: a whole model as Keras 2 or Keras 3 saves it, with or without optimizer state. Its
            name does not matter.
        sha256: 64 hexadecimal digits that the file must have; compared before it is parsed.
        classes: names of the outputs in order, for a file that carries no contract.
        said: how a picture becomes an input, as `app.xray.contract.parse_input` gives it, for a
            file that carries no contract; the network of 2022 needs it not.

    Raises:
        CheckpointMissing: no file at `path`.
        CheckpointCorrupt: neither HDF5 nor zip, no whole Keras model, weights that its layers do
            not take, or a network that takes or gives another shape than the contract says.
        CheckpointRefused: another format (says which, and what converts it), another digest, a
            layer that could run code or is not known, more memory or computing than is spent, a
            link out of the file, contents that Keras does not write; no contract, and not all of
            it known or said (see `app.xray.checkpoint.assumed`).
    """
    digest = file_sha256(path)
    if sha256 is not None and not hmac.compare_digest(digest, sha256.lower()):
        raise CheckpointRefused(f"{path}: SHA-256 is {digest}, but {sha256.lower()} is demanded")
    try:
        with opened_checkpoint(path) as (contents, architecture):
            contract, assumption = _contract(contents), None
            if contract is None:
                contract, assumption = assume(outline_of(architecture, said or {}), classes, said)
            checkpoint = Checkpoint(path, digest, contract, assumption)
            sums = refuse_unless_shapes(architecture, checkpoint)
            find_weights(contents, architecture, sums)
            return replace(
                checkpoint,
                weight_bytes=sums.weights * BYTES_A_NUMBER,
                alive_bytes=sums.alive * BYTES_A_NUMBER,
            )
    except CheckpointError as error:
        raise type(error)(f"{path}: {brief(error)}") from error


@contextmanager
def opened_checkpoint(path: Path) -> Iterator[OpenedCheckpoint]:
    """The file at `path`, looked through, and its network, while the block lasts.

    Raises:
        CheckpointError: as `read_checkpoint`, without the path.
    """
    try:
        with opened(path) as contents:
            yield OpenedCheckpoint(
                contents, read_architecture(contents.config, contents.keras_version)
            )
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # h5py documents no closed set of errors for corrupt files
        raise CheckpointCorrupt(f"not a readable HDF5 file: {brief(error)}") from error


def refuse_unless_shapes(network: Architecture, checkpoint: Checkpoint) -> Sums:
    """Hold what a network takes and gives against the contract; tells what it takes in all.

    Raises:
        CheckpointCorrupt: the contract says another shape, or has another number of classes.
        CheckpointRefused: the network takes too much memory or computing.
    """
    contract = checkpoint.contract
    picture = contract.input_shape
    declared = network.input_shape
    if any(is_open not in (None, said) for is_open, said in zip(declared, picture, strict=True)):
        raise CheckpointCorrupt(
            f"the model takes {(None, *declared)}, the contract says {(None, *picture)}"
        )
    sums = add_up(network, picture)
    given = sums.shape(network.output, picture)
    if given not in [(count,) for count in contract.network_outputs]:
        hint = "" if checkpoint.carries_contract else "; CXR_CLASSES names the service's"
        raise CheckpointCorrupt(
            f"the model gives {brief((None, *given))}, the contract has "
            f"{len(contract.classes)} classes ({brief(', '.join(contract.classes))}){hint}"
        )
    return sums


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
    """`subject` as text on one line, cut in its middle where a checkpoint would fill the log."""
    text = " ".join(str(subject).split())
    if len(text) <= _MAX_MESSAGE:
        return text
    return f"{text[: _MAX_MESSAGE - 100]} ... {text[-90:]}"


def _contract(contents: Contents) -> ModelContract | None:
    """The contract that the file carries.

    Raises `CheckpointRefused` where it is none of a schema that this version knows.
    """
    if contents.contract is None:
        return None
    try:
        return ModelContract.model_validate_json(contents.contract)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointRefused(
            f"the attribute {ATTRIBUTE} is no contract of schema version 1 or 2: "
            f"{where[:60]}: {first['msg']}"
        ) from error
