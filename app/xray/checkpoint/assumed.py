"""A contract for a file that carries none: what is known of it, or what somebody said; no guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import ValidationError

from app.xray.checkpoint.architecture import add_up
from app.xray.contract import DEFAULT_CLASSES, ModelContract, spell_input
from app.xray.contract.input_text import EXAMPLE
from app.xray.errors import CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.xray.checkpoint.architecture import Architecture

_NO_WEIGHT: Final = frozenset(
    """
    Activation BatchNormalization Dropout Flatten InputLayer ReLU Reshape ZeroPadding2D
    """.split()
)
"""Layers that the versions of Keras place differently in one and the same network."""
_BLOCKS: Final = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
"""Filters of MobileNet's blocks at width 1.0 (Howard et al. 2017, arXiv:1704.04861)."""
_OF_2022: Final = (
    ("Conv2D", 32),
    *(pair for filters in _BLOCKS for pair in (("DepthwiseConv2D", 0), ("Conv2D", filters))),
    ("GlobalMaxPooling2D", 0),
    *(("Dense", units) for units in (512, 512, 16, 3)),
)
_OUTPUTS: Final = {"softmax": "softmax", "sigmoid": "sigmoid-one"}
"""What the activation of a last layer says of how the network ends; of one sigmoid alone."""


class Outline(NamedTuple):
    """What a file says of its network."""

    layers: Sequence[tuple[str, Mapping[str, Any]]]
    """Kind and settings of each layer, in order, also of models within the model."""
    input_shape: tuple[int | None, ...] | None
    """(height, width, channels); None where the file leaves an extent, or all of it, open."""
    outputs: int | None


def outline_of(network: Architecture, said: Mapping[str, Any]) -> Outline:
    """What the file says of its network; where it leaves the size open, for the size `said`.

    Raises:
        CheckpointError: it takes too much, or its layers do not fit together.
    """
    height, width, channels = network.input_shape
    size = said.get("input_size") or (224, 224)
    picture = (height or size[0], width or size[1], channels or 3)
    given = add_up(network, picture).shape(network.output, picture)
    layers = [network.layers[call.layer] for call in network.calls]
    return Outline(
        [(layer.kind, layer.settings) for layer in layers],
        network.input_shape,
        given[0] if len(given) == 1 else None,
    )


def assume(
    outline: Outline, classes: Sequence[str] | None, said: Mapping[str, Any] | None
) -> tuple[ModelContract, str]:
    """The contract of a network whose file carries none, and a sentence that says whence it is.

    The network of 2022, this project's first, is told by its layers and has the preprocessing of
    2022. Of any other `classes` and `said` (as `parse_input` gives it) must say what the file does
    not.

    Raises:
        CheckpointRefused: something is neither known nor said, or what is said cannot be.
    """
    if said is None and _is_of_2022(outline):
        contract = ModelContract.recipe_of_2022(classes or DEFAULT_CLASSES)
        return contract, (
            "The checkpoint carries no contract: as the network of 2022, told by its layers, it "
            f"gets the preprocessing of 2022, and its classes are taken for "
            f"{', '.join(contract.classes)}, in this order."
        )
    if said is None or classes is None:
        unknown = " and ".join(
            words
            for words, value in (
                ("how a picture becomes its input", said),
                ("what its outputs are called", classes),
            )
            if value is None
        )
        raise CheckpointRefused(
            f"it carries no contract, and {unknown} is not known: python -m app.adopt finds it out "
            f"and writes it down; or say it: CXR_CLASSES=NAME,NAME CXR_INPUT='{EXAMPLE}'"
        )
    contract = _contract(classes, {**_told_by(outline), **said})
    return contract, (
        "The checkpoint carries no contract: what stands for it was said by whoever serves it, "
        f"and not tried: {spell_input(contract)}, classes {', '.join(contract.classes)}."
    )


def _contract(classes: Sequence[str], fields: Mapping[str, Any]) -> ModelContract:
    needed = {"input_size": "size", "channels": "channels", "scale": "scale", "resize": "resize"}
    missing = [key for field, key in {**needed, "output": "output"}.items() if field not in fields]
    if missing:
        raise CheckpointRefused(
            f"it carries no contract, and neither file nor CXR_INPUT says {', '.join(missing)}; "
            f"such as CXR_INPUT='{EXAMPLE} output=softmax'"
        )
    try:
        return ModelContract.model_validate({**fields, "classes": tuple(classes)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        raise CheckpointRefused(f"CXR_INPUT and CXR_CLASSES are no contract: {reason}") from error


def _told_by(outline: Outline) -> dict[str, Any]:
    """The fields of a contract that leave no doubt: size, one channel, and a plain last layer."""
    told: dict[str, Any] = {}
    if outline.input_shape is not None and len(outline.input_shape) == 3:
        *size, channels = outline.input_shape
        if None not in size:
            told["input_size"] = tuple(size)
        if channels == 1:
            told["channels"] = "gray"
    kind, settings = outline.layers[-1] if outline.layers else ("", {})
    activation = "softmax" if kind == "Softmax" else str(settings.get("activation"))
    is_alone = outline.outputs == 1
    if activation in _OUTPUTS and (activation == "sigmoid") == is_alone:
        told["output"] = _OUTPUTS[activation]
    return told


def _is_of_2022(outline: Outline) -> bool:
    found = tuple(
        (kind, settings.get("filters") or settings.get("units") or 0)
        for kind, settings in outline.layers
        if kind not in _NO_WEIGHT
    )
    if found != _OF_2022 or outline.input_shape not in ((224, 224, 3), None):
        return False
    return str(outline.layers[-1][1].get("activation")) == "softmax"
