"""Somebody's network, run on whatever input it is given, before it has a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import ValidationError

from app.inference.loading import load_classifier
from app.inference.reader import Reader
from app.settings import read_settings
from app.xray.checkpoint.architecture import PICTURE, add_up
from app.xray.contract import ModelContract, spell_input
from app.xray.errors import AdoptionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from app.inference.engines.engine import Engine
    from app.xray.checkpoint.architecture import Architecture
    from app.xray.contract.outputs import Output

_SHAPING: Final = frozenset({"Dropout", "Flatten", "Reshape", "SpatialDropout2D"})
"""Layers that pass numbers on as they are."""
_ACTIVATIONS: Final = frozenset("elu leakyrelu prelu relu relu6 sigmoid silu softmax tanh".split())
"""Kinds of layers and operators that are an activation."""
_MEANT: Final[dict[str, Output]] = {"softmax": "softmax", "sigmoid": "sigmoid", "linear": "logits"}


class Ends(NamedTuple):
    """What a network takes and gives, as far as its file says so."""

    size: tuple[int, int]
    """(height, width)"""
    channels: int
    outputs: int
    output: Output
    """As a contract has it."""


class Foreign:
    """A network that is loaded: `ends`, and a contract of which only the input is made up."""

    def __init__(self, ends: Ends, contract: ModelContract, engine: Engine) -> None:
        self.ends = ends
        self.contract = contract
        self._engine = engine

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """The probability of each class, (classes,), for one input, (height, width, channels)."""
        probabilities: NDArray[np.floating[Any]] = self._engine.predict(inputs[None]).probabilities[
            0
        ]
        return probabilities

    @property
    def description(self) -> str:
        """What is read from the file, in a line."""
        (height, width), channels, outputs, output = self.ends
        numbers = "1 number" if outputs == 1 else f"{outputs} numbers"
        return f"the file says: {height} x {width} x {channels} in, {numbers} out ({output})"


def load(path: Path, classes: tuple[str, ...], said: Mapping[str, Any]) -> Foreign:
    """The network at `path` with `classes`, where `said` has what of its input is known.

    Raises:
        CheckpointError, EngineError: as `Reader.inspect` and `load_classifier`.
        AdoptionError: its ends are not those of a classifier of `classes`, or not known.
    """
    with Reader() as reader:
        inspected = reader.inspect(path)
        ends = _ends(inspected.architecture, said, path)
        if (ends.outputs, ends.output) == (1, "sigmoid"):
            ends = ends._replace(output="sigmoid-one")
        needed = 2 if ends.outputs == 1 else ends.outputs
        if len(classes) != needed:
            of_one = ": that of 0, that of 1" if ends.outputs == 1 else ""
            raise AdoptionError(
                f"{path}: the network gives {ends.outputs} for a picture, so --classes needs "
                f"{needed} names{of_one}; it has {len(classes)}"
            )
        contract = _contract(classes, ends)
        settings = read_settings(
            model_path=path,
            model_sha256=inspected.sha256,
            classes=classes,
            input=spell_input(contract),
            precision="f32",
            ood="off",
        )
        return Foreign(ends, contract, load_classifier(settings, reader=reader).engine)


def _contract(classes: tuple[str, ...], ends: Ends) -> ModelContract:
    """One with the ends of the network, its input made up: it is fed otherwise."""
    try:
        return ModelContract(
            classes=classes,
            output=ends.output,
            input_size=ends.size,
            channels="gray" if ends.channels == 1 else "rgb",
            resize="nearest",
            scale=1 / 255,
        )
    except ValidationError as error:
        raise AdoptionError(f"--input: {error.errors()[0]['msg']}") from error


def _ends(architecture: Architecture, said: Mapping[str, Any], path: Path) -> Ends:
    height, width, channels = architecture.input_shape
    said_height, said_width = said.get("input_size", (height, width))
    if (height or said_height, width or said_width) != (said_height, said_width):
        raise AdoptionError(f"--input: size {said_height}x{said_width}, but the network takes "
                            f"{height}x{width}")  # fmt: skip
    if said_height is None or said_width is None:
        raise AdoptionError(
            f"{path}: the file leaves the size of its input open; say --input size=224, or as it is"
        )
    if channels is None:
        channels = 1 if said.get("channels") == "gray" else 3
    if channels not in (1, 3):
        raise AdoptionError(
            f"{path}: the network takes {channels} channels, neither gray nor color"
        )
    shape = (said_height, said_width, channels)
    given = add_up(architecture, shape).shape(architecture.output, shape)
    if len(given) != 1:
        raise AdoptionError(f"{path}: the network gives maps of shape {given}, no classes")
    return Ends((said_height, said_width), channels, given[0], _output_of(architecture, said, path))


def _output_of(architecture: Architecture, said: Mapping[str, Any], path: Path) -> Output:
    """What the last layer makes of its numbers, by the contract's names."""
    if "output" in said:
        output: Output = said["output"]
        return output
    ref, activation = architecture.output, "linear"
    while ref != PICTURE:
        call = architecture.calls[ref.call]
        layer = architecture.layers[call.layer]
        if layer.kind not in _SHAPING:
            named = layer.kind.lower() if layer.kind.lower() in _ACTIVATIONS else "linear"
            activation = str(layer.settings.get("activation") or named)
            break
        (ref,) = call.refs
    if activation not in _MEANT:
        raise AdoptionError(
            f"{path}: the network ends in {activation[:40]}, but softmax, sigmoid or no activation "
            "is what a classifier ends in; say --input output=... if it is one of those"
        )
    return _MEANT[activation]
