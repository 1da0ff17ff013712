"""MobileNet with the head of 2022, and its two parts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import keras
from keras import layers

from app.xray.errors import TrainingError

if TYPE_CHECKING:
    from pathlib import Path


def build_mobilenet(
    classes: int,
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    weights: Literal["imagenet", "none"] | Path = "imagenet",
    precision: str = "float32",
) -> Any:
    """A `keras.Model` from float32 (n, *input_shape) to `classes` probabilities.

    MobileNet v1 (Howard et al. 2017, arXiv:1704.04861) at width 1.0 without its top, global max
    pooling, then a dense head. With three classes: 4,026,627 parameters, 4,003,715 of them
    trainable; 3,228,864 without the head.

    Args:
        classes: outputs.
        input_shape: height, width, 3.
        weights: "imagenet" lets Keras download them, "none" draws them at random, a path names a
            file of MobileNet's weights without its top, in Keras' `.weights.h5` format.
        precision: Keras' dtype policy of all but the last layer, which gives float32 in any.

    Raises:
        TrainingError: the weights cannot be had, or are not those of this network.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return _build(classes, input_shape, weights)
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(network: Any) -> Any:
    """`network` itself where all of it computes in float32, else its like that does, newly drawn.

    A checkpoint is to say nothing of what it was trained on.
    """
    policies = {layer.dtype_policy.name for layer in network.layers} - {"float32"}
    if not policies:
        return network
    config = json.dumps(network.get_config())
    for policy in policies:
        config = config.replace(json.dumps(policy), json.dumps("float32"))
    return keras.Model.from_config(json.loads(config))


def _build(
    classes: int, input_shape: tuple[int, int, int], weights: Literal["imagenet", "none"] | Path
) -> Any:
    try:
        backbone = keras.applications.MobileNet(
            input_shape=input_shape,
            include_top=False,
            pooling="max",
            weights=None if weights == "none" else str(weights),
        )
    except Exception as error:  # Keras raises whatever the file or the network leads it to
        expected = (
            "Keras could not download them; name a file in --weights, or none"
            if weights == "imagenet"
            else "expected MobileNet's weights (width 1.0, no top, 3,228,864 parameters) in "
            "Keras' .weights.h5 format"
        )
        raise TrainingError(f"{weights}: {expected}: {_first_line(error)}") from error
    x = layers.Dense(512, activation="relu")(backbone.output)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(512, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dense(16, activation="relu")(x)
    outputs = layers.Dense(classes, activation="softmax", dtype="float32")(x)
    return keras.Model(backbone.input, outputs, name="cxr_mobilenet")


def split_head(network: Any) -> tuple[Any, Any]:
    """The network below its head, and the head: two `keras.Model`, which share their weights.

    The first goes from pictures to float32 (n, features), the second on to probabilities. The head
    begins after the first layer that leaves a map (n, rows, columns, channels) behind.
    """
    below = _layers_below_head(network)
    features = below[-1].output
    inputs = outputs = keras.Input(features.shape[1:])
    for layer in network.layers[len(below) :]:
        outputs = layer(outputs)
    return keras.Model(network.input, features), keras.Model(inputs, outputs)


def is_below_head(network: Any, variable: Any) -> bool:
    """Whether a variable of the network is one of a layer below its head."""
    return any(
        variable is weight for layer in _layers_below_head(network) for weight in layer.weights
    )


def freeze(network: Any, blocks: int, *, statistics: bool) -> None:
    """Keep the first so many of MobileNet's 13 `blocks`, and what comes before them, as they are.

    With `statistics`, batch normalization below the head too, wherever it is: it then works as it
    does in serving, with the averages and gains that it came with.
    """
    below = _layers_below_head(network)
    names = [layer.name for layer in below]
    last = names.index(f"conv_pw_{blocks}_relu") if blocks else -1
    for position, layer in enumerate(below):
        is_normalization = isinstance(layer, layers.BatchNormalization)
        if position <= last or (statistics and is_normalization):
            layer.trainable = False


def _layers_below_head(network: Any) -> list[Any]:
    """The layers below the head, in order, down to the one that pools the last map."""
    for position, layer in enumerate(network.layers):
        if len(layer.output.shape) == 2:
            found: list[Any] = network.layers[: position + 1]
            return found
    raise TrainingError(f"{network.name}: nothing of it makes features of a picture")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
