"""A checkpoint file, inspected before anything in it is believed.

Deserializing a Keras .h5 can run code: a Lambda layer carries it, and a layer of another
module imports it. So the file is first read as plain HDF5; only Keras' own layers, of the kinds
that image classifiers are made of, go on to Keras.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import h5py
import numpy as np

from app.xray.contract import DEFAULT_CLASSES, ModelContract
from app.xray.errors import (
    CheckpointCorrupt,
    CheckpointError,
    CheckpointMissing,
    CheckpointRefused,
)
from app.xray.keras_2 import MODELS, mend_keras_2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_LAYERS: Final = frozenset(
    """
    Activation Add Average AveragePooling2D BatchNormalization Concatenate Conv2D Cropping2D Dense
    DepthwiseConv2D Dropout ELU Flatten GaussianDropout GaussianNoise GlobalAveragePooling2D
    GlobalMaxPooling2D InputLayer LayerNormalization LeakyReLU MaxPooling2D Maximum Minimum
    Multiply Normalization PReLU Permute ReLU Rescaling Reshape SeparableConv2D Softmax
    SpatialDropout2D Subtract UpSampling2D ZeroPadding2D
    """.split()
)
_PARTS: Final = frozenset(
    """
    __keras_tensor__ Constant DTypePolicy GlorotNormal GlorotUniform HeNormal HeUniform Identity
    L1 L1L2 L2 LecunNormal LecunUniform MaxNorm MinMaxNorm NonNeg Ones Orthogonal Policy
    RandomNormal RandomUniform TruncatedNormal UnitNorm VarianceScaling Zeros
    """.split()
)
_ENDINGS: Final = frozenset({".h5", ".hdf5"})
_MAX_WEIGHT_BYTES: Final = 1 << 30


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
        CheckpointCorrupt: not HDF5, or no whole Keras model.
        CheckpointRefused: another ending or digest, a layer that could run code, a link out of
            the file.
    """
    if path.suffix not in _ENDINGS or path.name.endswith(".weights.h5"):
        raise CheckpointRefused(
            f"{path}: Keras tells formats by their names; a whole model's is NAME.h5"
        )
    digest = file_sha256(path)
    if sha256 is not None and not hmac.compare_digest(digest, sha256.lower()):
        raise CheckpointRefused(f"{path}: SHA-256 is {digest}, but {sha256.lower()} is demanded")
    try:
        with h5py.File(path, "r") as file:
            _refuse_what_is_elsewhere(file)
            config = _model_config(file)
            contract = ModelContract.read(file)
    except CheckpointError as error:
        raise type(error)(f"{path}: {error}") from error
    except Exception as error:  # h5py documents no closed set of errors for corrupt files
        raise CheckpointCorrupt(f"{path}: not a readable HDF5 file: {error}") from error
    return Checkpoint(
        path=path,
        sha256=digest,
        config=config,
        contract=contract or ModelContract.recipe_of_2022(classes),
        carries_contract=contract is not None,
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


def _refuse_what_is_elsewhere(file: h5py.File) -> None:
    """Let no byte come from outside the file, and no shape promise more than memory holds."""
    total = 0
    pending, seen = [file["/"]], set()
    while pending:
        group = pending.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:  # hard links may lead in a circle
            continue
        seen.add(address)
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
            if total > _MAX_WEIGHT_BYTES:
                raise CheckpointRefused(f"{where}: more than {_MAX_WEIGHT_BYTES} bytes of weights")


def _model_config(file: h5py.File) -> dict[str, Any]:
    if "model_config" not in file.attrs or "model_weights" not in file:
        raise CheckpointCorrupt(
            "no whole Keras model inside; save it with model.save('NAME.h5'), not save_weights"
        )
    try:
        config = json.loads(file.attrs["model_config"])
        if config["class_name"] not in MODELS:
            raise CheckpointRefused(f"a model of class {config['class_name']} is not loaded")
        for item in _objects(config):
            _inspect(item)
        if str(file.attrs.get("keras_version", "")).startswith("2."):
            mend_keras_2(config)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointCorrupt(f"model_config is not one of a Keras model: {error}") from error
    return dict(config)


def _objects(config: object, within: str = "?") -> Iterator[_Object]:
    """Every serialized object anywhere in a configuration: layers and what they hold."""
    if isinstance(config, dict):
        if "class_name" in config:
            settings = config.get("config")
            name = settings.get("name") if isinstance(settings, dict) else None
            within = str(name or within)
            yield _Object(within, config)
        for value in config.values():
            yield from _objects(value, within)
    elif isinstance(config, list):
        for value in config:
            yield from _objects(value, within)


class _Object(NamedTuple):
    layer: str
    """The name of the layer that it is, or that holds it."""
    content: dict[str, Any]


def _inspect(item: _Object) -> None:
    """Refuse what is not on the list, or would be looked up outside Keras' own modules."""
    class_name = item.content["class_name"]
    if class_name not in MODELS | _LAYERS | _PARTS:
        raise CheckpointRefused(
            f"layer {item.layer!r} is or holds a {class_name}; only Keras' own layers for images "
            "are loaded, since others can run code"
        )
    module = item.content.get("module") or "keras"
    registered = item.content.get("registered_name") or class_name
    if module.split(".")[0] != "keras" or registered != class_name:
        raise CheckpointRefused(
            f"layer {item.layer!r} is or holds what is not Keras' own: {module}, {registered}"
        )
