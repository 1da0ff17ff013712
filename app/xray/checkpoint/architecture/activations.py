"""Activations by the names that Keras 2 and Keras 3 give them, each as layers of Keras 3."""

from __future__ import annotations

from typing import Any, Final

from app.xray.errors import CheckpointRefused

Link = tuple[str, dict[str, Any]]
"""A kind of layer, and its settings."""

NAMES: Final = frozenset(
    """
    elu exponential gelu hard_sigmoid hard_silu leaky_relu linear log_softmax mish relu relu6 selu
    sigmoid silu softmax softplus softsign tanh
    """.split()
)
_ALIASES: Final = {
    "exp": "exponential",
    "hard_swish": "hard_silu",
    "log_softmax_v2": "log_softmax",
    "softmax_v2": "softmax",  # what tf.nn.softmax and its like are called
    "swish": "silu",
    "swish_v2": "silu",
}
_LAYERS: Final = frozenset("Activation ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU".split())


def activation_name(value: Any, layer: str) -> str | None:
    """The name in `NAMES` that `value`, of a configuration, means; None where it is a layer.

    Raises:
        CheckpointRefused: it is not known, and might be anybody's code.
    """
    if value is None:
        return "linear"
    if isinstance(value, dict):
        kind, inner = value.get("class_name"), value.get("config")
        module = str(value.get("module") or "builtins").split(".")[0]
        if kind in _LAYERS and isinstance(inner, dict) and kind != "PReLU":
            return None
        is_function = kind == "function" and module in {"builtins", "keras", "tensorflow"}
        value = inner if is_function else (kind or "object")
    name = _ALIASES.get(value, value) if isinstance(value, str) else None
    if name not in NAMES:
        raise CheckpointRefused(
            f"layer {layer!r} is or holds a {_shown(value)} as its activation, which Keras does "
            "not have; only Keras' own are run"
        )
    return str(name)


def links(name: str, *, is_keras_2: bool) -> list[Link]:
    """Layers that compute the activation `name`; none where it changes nothing.

    Keras 2 has `hard_sigmoid` as clip(0.2 x + 0.5, 0, 1); Keras 3 as clip(x / 6 + 0.5, 0, 1).
    """
    if name == "linear":
        return []
    if name == "hard_sigmoid" and is_keras_2:
        return [("Rescaling", {"scale": 0.2, "offset": 0.5}), ("ReLU", {"max_value": 1.0})]
    return [("Activation", {"activation": name})]


def is_built_in(name: str, *, is_keras_2: bool) -> bool:
    """Whether a layer of Keras 3 that is told this name computes what the file means."""
    return not (name == "hard_sigmoid" and is_keras_2)


def _shown(value: object) -> str:
    return str(value)[:60]
