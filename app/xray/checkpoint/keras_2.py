"""Model configurations as Keras 2 wrote them, mended so that Keras 3 reads them."""

from __future__ import annotations

from typing import Any, Final

MODELS: Final = frozenset({"Functional", "Model", "Sequential"})
"""The classes whose configuration holds layers."""


def mend_keras_2(model: dict[str, Any]) -> None:
    """Rewrite in place the configuration of a model, and of every model nested in it.

    What was written by Keras 2, as the file's `keras_version` says, differs in four ways:
    `DepthwiseConv2D` carries `groups`; the axis of `BatchNormalization` is a list of one; a single
    input or output of a model is a list of one, which Keras 3 takes for a structure; and a nested
    model's own making counts as its call 0, so that its first use is call 1.

    Raises what indexing raises where the configuration is none.
    """
    layers = model["config"]["layers"]
    nested = {layer["config"]["name"] for layer in layers if layer["class_name"] in MODELS}
    for key in ("input_layers", "output_layers"):
        if ends := model["config"].get(key):
            for end in ends:
                _count_calls_from_zero(end, nested)
            if len(ends) == 1:
                model["config"][key] = ends[0]
    for layer in layers:
        for node in layer.get("inbound_nodes", ()):
            for tensor in node:
                _count_calls_from_zero(tensor, nested)
        if layer["class_name"] in MODELS:
            mend_keras_2(layer)
        else:
            _mend_layer(layer["class_name"], layer["config"])


def _count_calls_from_zero(tensor: list[Any], nested: set[str]) -> None:
    """`tensor` is [layer's name, its call, its output, ...]."""
    if tensor[0] in nested:
        tensor[1] -= 1


def _mend_layer(class_name: str, config: dict[str, Any]) -> None:
    if class_name == "DepthwiseConv2D":
        config.pop("groups", None)
    if class_name == "BatchNormalization" and isinstance(config.get("axis"), list):
        (config["axis"],) = config["axis"]
