"""The text of a model's configuration -> the network that it describes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from app.xray.checkpoint.architecture.graph import PICTURE, Architecture, Call, Ref
from app.xray.checkpoint.architecture.members import MODELS
from app.xray.checkpoint.architecture.models import open_model
from app.xray.errors import CheckpointCorrupt, CheckpointRefused

if TYPE_CHECKING:
    from app.xray.checkpoint.architecture.members import Laid

_MAX_TEXT: Final = 1 << 22
_MAX_VALUES: Final = 1_000_000
_MAX_DEPTH: Final = 100
"""Lists and objects within each other; a model within a model takes four."""


def read_architecture(text: str | bytes, keras_version: str) -> Architecture:
    """The network that the configuration `text`, JSON, describes; Keras is not asked.

    `keras_version` is that of the file; "" where it has none, as before Keras 2.0. What TensorFlow
    1.13 to 2.15 wrote counts as Keras 2.

    Raises:
        CheckpointCorrupt: it is not one of a Keras model.
        CheckpointRefused: a layer could run code or is not known, and is named; or the whole is
            larger than that of any network that is served.
    """
    if len(text) > _MAX_TEXT:
        raise CheckpointRefused(f"model_config has more than {_MAX_TEXT:,} characters")
    try:
        config = json.loads(text)
        _refuse_depth(config)
        if config["class_name"] not in MODELS:
            raise CheckpointRefused(
                f"a model of class {str(config['class_name'])[:60]} is not loaded; its layers are "
                "its own code. Build it of Keras' layers (keras.Model(inputs, outputs)) and save it"
            )
        laid, output, model = open_model(config, is_keras_2=_is_keras_2(keras_version, config))
        members = list(model.members.values())
        shape = _input_shape(config, [source.layer for source in model.inputs])
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        said = type(error).__name__ if isinstance(error, LookupError) else ""
        raise CheckpointCorrupt(
            f"model_config is not one of a Keras model: {said} {str(error)[:120]}"
        ) from error
    if not members:
        raise CheckpointCorrupt("model_config describes a network without layers")
    return _needed(laid, shape, output)


def _is_keras_2(version: str, config: dict[str, Any]) -> bool:
    """Whether Keras 2 wrote it: TensorFlow's own numbers were its versions from 1.13 to 2.15."""
    if version[:2] in ("3.", "4."):
        return False
    if version[:1] in ("1", "2"):
        return True
    return "batch_shape" not in json.dumps(config)[:100_000]


def _refuse_depth(config: object) -> None:
    pending: list[tuple[object, int]] = [(config, 0)]
    count = 0
    while pending:
        value, depth = pending.pop()
        inner = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(inner, list):
            continue
        count += len(inner)
        if depth > _MAX_DEPTH or count > _MAX_VALUES:
            raise CheckpointRefused(
                f"model_config lies deeper than {_MAX_DEPTH} levels, or has more than "
                f"{_MAX_VALUES:,} values"
            )
        pending += ((item, depth + 1) for item in inner)


def _input_shape(model: dict[str, Any], inputs: list[str]) -> tuple[int | None, ...]:
    """(height, width, channels) as the file declares them; None for what it leaves open."""
    config = model["config"]
    layers = config if isinstance(config, list) else config["layers"]
    if model["class_name"] == "Sequential":
        first = layers[0] if layers else {"class_name": "", "config": {}}
        shape = _declared(first) or (
            config.get("build_input_shape") if isinstance(config, dict) else None
        )
    else:
        by_name = {layer["config"].get("name") or layer.get("name"): layer for layer in layers}
        shape = _declared(by_name[inputs[0]])
    if shape is None:
        return (None, None, None)
    if len(shape) != 4:
        raise CheckpointCorrupt(
            f"the model takes {str(tuple(shape))[:60]}, no pictures (None, height, width, channels)"
        )
    if not all(item is None or (type(item) is int and 0 < item <= 65_536) for item in shape):
        raise CheckpointRefused(f"the model takes pictures of {str(tuple(shape))[:60]}")
    return tuple(shape[1:])


def _declared(layer: dict[str, Any]) -> list[Any] | None:
    if layer["class_name"] in MODELS:
        config = layer["config"]
        if isinstance(config, dict) and layer["class_name"] != "Sequential":
            (first, *_) = config["input_layers"]
            name = first if isinstance(first, str) else first[0]
            inner = [item for item in config["layers"] if item["config"].get("name") == name]
            return _declared(inner[0])
        layers = config if isinstance(config, list) else config["layers"]
        return _declared(layers[0]) if layers else None
    config = layer["config"]
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if shape is None and config.get("input_shape"):
        shape = [None, *config["input_shape"]]
    return list(shape) if shape else None


def _needed(laid: Laid, shape: tuple[int | None, ...], output: Ref) -> Architecture:
    """What the output comes of, in the order of the calls; the rest of the file is left out."""
    pending, reached = [output], set()
    while pending:
        ref = pending.pop()
        if ref != PICTURE and ref not in reached:
            reached.add(ref)
            pending += laid.calls[ref.call].refs
    kept = sorted(ref.call for ref in reached)
    calls = {old: new for new, old in enumerate(kept)}
    used = sorted({laid.calls[old].layer for old in kept})
    layers = {old: new for new, old in enumerate(used)}

    def moved(operand: Any) -> Any:
        is_call = isinstance(operand, Ref) and operand != PICTURE
        return Ref(calls[operand.call]) if is_call else operand

    return Architecture(
        tuple(laid.layers[old] for old in used),
        tuple(
            Call(layers[laid.calls[old].layer], tuple(map(moved, laid.calls[old].operands)))
            for old in kept
        ),
        shape,
        moved(output),
    )
