"""What a model's configuration declares, looked at before Keras builds anything of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from app.xray.checkpoint.keras_2 import MODELS, mend_keras_2
from app.xray.errors import CheckpointCorrupt, CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_ELEMENTWISE: Final = frozenset(
    "Activation Dropout ELU GaussianDropout GaussianNoise LeakyReLU ReLU Softmax".split()
)
"""Layers that give as many numbers as they take."""
_EXTENTS: Final = frozenset(
    """
    batch_input_shape batch_shape cropping depth_multiplier dilation_rate filters kernel_size
    padding pool_size size strides target_shape units
    """.split()
)
"""Settings that say how large something is."""
_MAX_EXTENT: Final = 65_536
_MAX_LAYERS: Final = 2_500
"""The largest networks of keras.applications have a thousand."""
_MAX_CALLS: Final = 15_000
"""Keras takes up to a millisecond or two for each, and the largest of keras.applications within a
`Sequential` comes to six thousand."""
_MAX_VALUES: Final = 1_000_000
_MAX_DEPTH: Final = 100
"""Lists and objects within each other; a model within a model takes four."""
_MAX_TEXT: Final = 1 << 22
_MAX_RANK: Final = 8
_MAX_NAME: Final = 200


def read_architecture(text: str | bytes, *, is_keras_2: bool) -> dict[str, Any]:
    """The configuration in `text`, JSON, mended where Keras 2 wrote it.

    Raises:
        CheckpointCorrupt: it is not one of a Keras model.
        CheckpointRefused: a layer could run code, or is of absurd size, and is named; or the whole
            is larger than that of any network that is served.
    """
    if len(text) > _MAX_TEXT:
        raise CheckpointRefused(f"model_config has more than {_MAX_TEXT:,} characters")
    try:
        config = json.loads(text)
        if config["class_name"] not in MODELS:
            raise CheckpointRefused(f"a model of class {config['class_name']} is not loaded")
        layers = 0
        for item in _objects(config):
            _inspect(item)
            layers += item.content["class_name"] not in _PARTS
            if layers > _MAX_LAYERS:
                raise CheckpointRefused(f"more than {_MAX_LAYERS:,} layers")
        if _calls(config) > _MAX_CALLS:
            raise CheckpointRefused(f"to build it takes more than {_MAX_CALLS:,} calls of layers")
        if is_keras_2:
            mend_keras_2(config)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointCorrupt(f"model_config is not one of a Keras model: {error}") from error
    return dict(config)


def declared_input(model: dict[str, Any]) -> tuple[int | None, ...] | None:
    """The shape of the one input, the batch's extent first; None where it is not told."""
    try:
        if model["class_name"] == "Sequential":
            return _input_of(model["config"]["layers"][0])
        (name, *_) = _only(model["config"]["input_layers"])
        return _input_of(_layers(model)[name])
    except (LookupError, ValueError, TypeError, AttributeError):
        return None


def declared_outputs(model: dict[str, Any]) -> int | None:
    """How many numbers the one output has; None where it cannot be told from here."""
    try:
        if model["class_name"] == "Sequential":
            for layer in reversed(model["config"]["layers"]):
                if layer["class_name"] not in _ELEMENTWISE:
                    return _outputs_of(layer)
            return None
        layers = _layers(model)
        (name, *_) = _only(model["config"]["output_layers"])
        for _ in layers:  # a circle would have no end
            if layers[name]["class_name"] not in _ELEMENTWISE:
                return _outputs_of(layers[name])
            name = _source(layers[name])
    except (LookupError, ValueError, TypeError, AttributeError):
        pass
    return None


def layers_of(model: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and settings of each layer, in order, also of models within the model."""
    for layer in model["config"]["layers"]:
        if layer["class_name"] in MODELS:
            yield from layers_of(layer)
        else:
            yield layer["class_name"], layer["config"]


def _input_of(layer: dict[str, Any]) -> tuple[int | None, ...] | None:
    if layer["class_name"] in MODELS:
        return declared_input(layer)
    config = layer["config"]
    shape = config.get("batch_shape") or config["batch_input_shape"]
    return tuple(shape) if len(shape) <= _MAX_RANK else None


def _outputs_of(layer: dict[str, Any]) -> int | None:
    if layer["class_name"] in MODELS:
        return declared_outputs(layer)
    return int(layer["config"]["units"]) if layer["class_name"] == "Dense" else None


def _layers(model: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {layer["config"]["name"]: layer for layer in model["config"]["layers"]}


def _only(ends: list[Any]) -> list[Any]:
    """The one tensor of `ends`: [layer's name, its call, its output], or a list of one such."""
    if isinstance(ends[0], str):
        return ends
    (end,) = ends
    return list(end)


def _source(layer: dict[str, Any]) -> str:
    """The name of the layer that feeds this one, as Keras 3 or as Keras 2 writes it."""
    (node,) = layer["inbound_nodes"]
    if isinstance(node, dict):
        (tensor,) = node["args"]
        return str(tensor["config"]["keras_history"][0])
    ((name, *_),) = node
    return str(name)


def _calls(item: Any) -> int:
    """How often Keras calls layers to build a model, or one when a layer within it is called.

    A layer is called once for each of its nodes, and a `Sequential` runs anew with each layer that
    is added to it. Little text can ask for much: models nest, and each may be called many times.
    """
    layers = item["config"].get("layers") if _is_model(item) else None
    if not isinstance(layers, list):  # whether that is an error is for Keras to say
        return 1
    calls = 0
    for layer in layers:
        nodes = layer.get("inbound_nodes") if isinstance(layer, dict) else None
        calls += _calls(layer) * max(1, len(nodes or ()))
    return calls * len(layers) if item["class_name"] == "Sequential" else calls


def _is_model(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.get("class_name") in MODELS
        and isinstance(item.get("config"), dict)
    )


def _objects(config: object) -> Iterator[_Object]:
    """Every serialized object anywhere in a configuration: layers and what they hold."""
    pending: list[tuple[object, str, int]] = [(config, "?", 0)]
    count = 0
    while pending:
        value, within, depth = pending.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                settings = value.get("config")
                name = settings.get("name") if isinstance(settings, dict) else None
                within = str(name or within)[:_MAX_NAME]
                yield _Object(within, value)
            inner = list(value.values())
        elif isinstance(value, list):
            inner = value
        else:
            continue
        count += len(inner)
        if depth > _MAX_DEPTH or count > _MAX_VALUES:
            raise CheckpointRefused(
                f"layer {within!r} lies deeper than {_MAX_DEPTH} levels, or behind more than "
                f"{_MAX_VALUES:,} values"
            )
        pending += ((item, within, depth + 1) for item in reversed(inner))


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
    _refuse_absurd_sizes(item)


def _refuse_absurd_sizes(item: _Object) -> None:
    settings = item.content.get("config")
    if not isinstance(settings, dict):
        return
    for name in _EXTENTS.intersection(settings):
        pending = [settings[name]]
        while pending:
            value = pending.pop()
            if isinstance(value, list):
                pending += value
            elif isinstance(value, int | float) and abs(value) > _MAX_EXTENT:
                raise CheckpointRefused(
                    f"layer {item.layer!r} declares {name} {settings[name]}; up to "
                    f"{_MAX_EXTENT:,} is built"
                )
