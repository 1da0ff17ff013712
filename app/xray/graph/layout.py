"""A Keras network rebuilt with its channels first, which OpenVINO computes twice as fast.

Every map (n, rows, columns, channels) becomes (n, channels, rows, columns). A layer whose meaning
in that layout is certain is made anew for it; any other gets its map turned back, and what it
makes of that is turned again, so that the network is the same whatever it is made of.
"""

from __future__ import annotations

from typing import Any, Final

from app.xray.network import import_keras

_BY_DATA_FORMAT: Final = frozenset(
    """
    AveragePooling2D Conv2D Cropping2D DepthwiseConv2D Flatten GlobalAveragePooling2D
    GlobalMaxPooling2D MaxPooling2D SeparableConv2D SpatialDropout2D UpSampling2D ZeroPadding2D
    """.split()
)
"""Layers that are told where the channels are; their weights are the same in either layout."""
_BY_AXIS: Final = frozenset("BatchNormalization Concatenate".split())
"""Layers that are told along which axis."""
_ELEMENTWISE: Final = frozenset(
    """
    Activation Add Average Dropout ELU GaussianDropout GaussianNoise LeakyReLU Maximum Minimum
    Multiply ReLU Subtract
    """.split()
)
"""Layers to which all places and channels are alike, if all that they take are maps."""
_ELEMENTWISE_OPERATIONS: Final = frozenset(
    """
    Absolute Add Divide Maximum Minimum Multiply Negative Relu Relu6 Sigmoid Silu Sqrt Square
    Subtract Tanh TrueDivide
    """.split()
)
"""Operations of Keras of which the same is true."""
_OVER_CHANNELS: Final = frozenset({"softmax", "log_softmax", "glu", "sparsemax"})
"""Activations that look at more than one number, along the last axis."""
_TURNED_AXIS: Final = {1: 2, 2: 3, 3: 1}


class ChannelsFirst:
    """Calls layers of a network whose maps have their channels last on maps that have them first.

    A layer that is called twice is made anew once: its weights are shared as they were.
    """

    def __init__(self) -> None:
        self._turned: dict[int, Any] = {}

    def shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Of one map, (rows, columns, channels), with the channels first; others as they are."""
        return (shape[2], *shape[:2]) if len(shape) == 3 else shape

    def has_extent(self, tensor: Any) -> bool:
        """As `app.xray.network.Layout.has_extent`."""
        return _is_map(tensor) and tensor.shape[2:] != (1, 1)

    def call(self, layer: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        """What `layer`, or an operation, makes of `inputs`: a tensor or a list of them."""
        keras = import_keras()
        taken = keras.tree.flatten((inputs, rest, options))
        if not any(_is_map(tensor) for tensor in (*taken, *keras.tree.flatten(layer.output))):
            return layer(inputs, *rest, **options)
        is_certain = all(_is_map(tensor) for tensor in taken)
        if not isinstance(layer, keras.Layer):
            if is_certain and type(layer).__name__ in _ELEMENTWISE_OPERATIONS:
                return layer(inputs, *rest, **options)
        elif is_certain and not rest and (changes := _changes(layer)) is not None:
            return self._anew(layer, changes)(inputs, **options)
        if _is_expansion(layer, taken):
            (channels,) = taken[0].shape[1:]
            return keras.layers.Reshape((channels, 1, 1))(inputs)
        inputs, rest, options = keras.tree.map_structure(channels_last, (inputs, rest, options))
        return keras.tree.map_structure(channels_first, layer(inputs, *rest, **options))

    def _anew(self, layer: Any, changes: dict[str, Any]) -> Any:
        if id(layer) not in self._turned:
            config = {**layer.get_config(), **changes}
            self._turned[id(layer)] = _Anew(layer, type(layer).from_config(config))
        return self._turned[id(layer)]


class _Anew:
    """A layer made anew, which gets the weights of the old one once it has built its own."""

    def __init__(self, old: Any, new: Any) -> None:
        self._old, self._new = old, new
        self._has_weights = False

    def __call__(self, inputs: Any, **options: Any) -> Any:
        made = self._new(inputs, **options)
        if not self._has_weights:
            self._new.set_weights(self._old.get_weights())
            self._has_weights = True
        return made


def channels_last(tensor: Any) -> Any:
    """A map with its channels first, turned; any other tensor as it is."""
    return import_keras().layers.Permute((2, 3, 1))(tensor) if _is_map(tensor) else tensor


def channels_first(tensor: Any) -> Any:
    """A map with its channels last, turned; any other tensor as it is."""
    return import_keras().layers.Permute((3, 1, 2))(tensor) if _is_map(tensor) else tensor


def _changes(layer: Any) -> dict[str, Any] | None:
    """What `layer` has to be told otherwise; None where its meaning would not be certain."""
    kind = type(layer).__name__
    if kind in _BY_DATA_FORMAT:
        return {"data_format": "channels_first"} if layer.data_format == "channels_last" else None
    if kind in _BY_AXIS and isinstance(layer.axis, int):
        axis = layer.axis if layer.axis >= 0 else layer.axis + 4
        return {"axis": _TURNED_AXIS[axis]} if axis in _TURNED_AXIS else None
    if kind == "Rescaling":
        is_number = isinstance(layer.scale, int | float) and isinstance(layer.offset, int | float)
        return {} if is_number else None
    if kind in _ELEMENTWISE and _activation(layer) not in _OVER_CHANNELS:
        return {}
    return None


def _activation(layer: Any) -> str:
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def _is_expansion(layer: Any, taken: list[Any]) -> bool:
    """Whether it makes a map of one place of a vector, as squeeze and excitation does."""
    return (
        type(layer).__name__ == "Reshape"
        and len(taken) == 1
        and len(taken[0].shape) == 2
        and tuple(layer.target_shape) in ((1, 1, taken[0].shape[1]), (1, 1, -1))
    )


def _is_map(tensor: Any) -> bool:
    return len(getattr(tensor, "shape", ())) == 4
