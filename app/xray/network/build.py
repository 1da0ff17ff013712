"""A network built of Keras' layers as a checkpoint's configuration describes it.

Nothing of the file is deserialized: each layer is made of the numbers and texts that
`app.xray.checkpoint.architecture` let through, and gets its weights as arrays.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from app.xray.checkpoint import file_sha256
from app.xray.checkpoint.architecture import PICTURE, Ref
from app.xray.checkpoint.architecture.given import Given
from app.xray.checkpoint.architecture.operators import BINARY, OPERATORS, REDUCING
from app.xray.checkpoint.architecture.shapes import sliced
from app.xray.checkpoint.read import brief, opened_checkpoint, refuse_unless_shapes
from app.xray.checkpoint.weights import find_weights, values_of
from app.xray.errors import CheckpointCorrupt, CheckpointError
from app.xray.network.library import import_keras

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from app.xray.checkpoint import Checkpoint
    from app.xray.checkpoint.architecture import Architecture, Call, Layer, Sums

    Arrays = list[NDArray[np.float32]]

_KERNELS: Final = {
    "DepthwiseConv2D": ("depthwise_initializer",),
    "SeparableConv2D": ("depthwise_initializer", "pointwise_initializer"),
    **dict.fromkeys(
        ("Conv1D", "Conv2D", "Conv2DTranspose", "Dense", "MultiHeadAttention"),
        ("kernel_initializer",),
    ),
}
"""Not drawn at random, which takes longer than to read what takes their place."""
_SEVERAL: Final = frozenset("Add Average Concatenate Maximum Minimum Multiply Subtract".split())
_FUNCTIONS: Final = {"abs": "absolute"}
_INPUT: Final = "picture"
_OPERATION_NAME: Final = re.compile(
    rf"({'|'.join(OPERATORS)}|absolute|re_lu6?|take|true_divide)(_\d+)?"
)


def build_network(checkpoint: Checkpoint) -> Any:
    """Rebuild the network and load its weights; the optimizer's state is never read.

    Models within the model are laid open, and what does nothing at inference is left out.

    Returns a `keras.Model` from float32 (n, height, width, channels) to float32 (n, outputs),
    of which `ModelContract.probabilities_of` makes probabilities.

    Raises:
        CheckpointCorrupt: configuration, weights and contract do not fit together, or the file
            changed while it was read.
        CheckpointRefused: it would take too much memory; told before any is taken.
    """
    try:
        with opened_checkpoint(checkpoint.path) as (contents, architecture):
            picture = checkpoint.contract.input_shape
            sums = refuse_unless_shapes(architecture, checkpoint)
            found = find_weights(contents, architecture, sums)
            read = {index: partial(values_of, arrays) for index, arrays in found.items()}
            network = _Building(architecture, sums, picture, read).model()
    except CheckpointError as error:
        raise type(error)(f"{checkpoint.path}: {error}") from error.__cause__ or error
    if file_sha256(checkpoint.path) != checkpoint.sha256:
        raise CheckpointCorrupt(f"{checkpoint.path}: changed while it was read; load it again")
    return network


class _Building:
    def __init__(
        self,
        architecture: Architecture,
        sums: Sums,
        picture: tuple[int, ...],
        arrays: Mapping[int, Callable[[], Arrays]],
    ) -> None:
        self._keras = import_keras()
        self._architecture, self._sums, self._picture = architecture, sums, picture
        self._arrays = arrays
        self._layers: dict[int, Any] = {}
        self._names: set[str] = {_INPUT}
        self._has_operations = any(layer.kind in OPERATORS for layer in architecture.layers)

    def model(self) -> Any:
        """The `keras.Model`."""
        # Named, for Keras would number them by what this process has built before.
        values = {PICTURE: self._keras.Input(self._picture, name=_INPUT)}
        for index, call in enumerate(self._architecture.calls):
            layer = self._architecture.layers[call.layer]
            operands = [
                values[operand] if isinstance(operand, Ref) else operand
                for operand in call.operands
            ]
            try:
                value = self._called(call, layer, operands)
            except CheckpointError:
                raise
            except Exception as error:  # Keras raises whatever a setting leads it to
                raise CheckpointCorrupt(
                    f"Keras cannot rebuild the model: layer {layer.name[:60]!r}, a {layer.kind}: "
                    f"{brief(error)}"
                ) from error
            counted = self._sums.costs[index].shape
            if tuple(value.shape[1:]) != counted:
                raise CheckpointCorrupt(
                    f"layer {layer.name[:60]!r}, a {layer.kind}, gives {tuple(value.shape[1:])}, "
                    f"where {counted} was counted"
                )
            values[Ref(index)] = value
        output = values[self._architecture.output]
        return self._keras.Model(values[PICTURE], output, name="network")

    def _called(self, call: Call, layer: Layer, operands: list[Any]) -> Any:
        if layer.kind in OPERATORS:
            return self._operated(layer, operands)
        is_new = call.layer not in self._layers
        if is_new:
            self._layers[call.layer] = self._made(call.layer, layer)
        made = self._layers[call.layer]
        if layer.kind == "MultiHeadAttention":
            query, value, key = operands
            result = made(query, value, key=key)
        else:
            result = made(operands if layer.kind in _SEVERAL else operands[0])
        if is_new and call.layer in self._arrays and layer.kind != "Normalization":
            made.set_weights(self._arrays[call.layer]())
        return result

    def _made(self, index: int, layer: Layer) -> Any:
        settings = dict(layer.settings)
        for key in _KERNELS.get(layer.kind, ()):
            settings[key] = "zeros"
        if layer.kind == "Normalization" and index in self._arrays:
            settings["mean"], settings["variance"], _ = self._arrays[index]()
        if layer.kind == "Reshape":
            settings["target_shape"] = tuple(settings["target_shape"])
        kind = getattr(self._keras.layers, layer.kind)
        return kind(**settings, name=self._named(layer.name), dtype="float32")

    def _operated(self, layer: Layer, operands: list[Any]) -> Any:
        ops = self._keras.ops
        first = operands[0]
        function: Any = getattr(ops, _FUNCTIONS.get(layer.kind, layer.kind), None)
        if layer.kind in BINARY:
            return function(*operands)
        if layer.kind == "concatenate":
            return ops.concatenate(operands, axis=layer.settings.get("axis", -1))
        if layer.kind == "getitem":
            return self._taken(layer, first)
        settings = {key: value for key, value in layer.settings.items() if value is not None}
        if layer.kind in REDUCING:
            settings["keepdims"] = bool(settings.get("keepdims", False))
        if isinstance(settings.get("axis"), list):
            settings["axis"] = tuple(settings["axis"])
        return function(first, **settings)

    def _taken(self, layer: Layer, tensor: Any) -> Any:
        """A part of `tensor`, by the numbers of its places, which every backend takes."""
        parts = sliced(Given(layer.kind, layer.name, layer.settings), tuple(tensor.shape[1:]))
        for axis, (part, extent) in enumerate(zip(parts, tensor.shape[1:], strict=True), 1):
            places = list(range(*part.indices(extent)))
            if places != list(range(extent)):
                tensor = self._keras.ops.take(tensor, places, axis=axis)
        return tensor

    def _named(self, name: str) -> str:
        """`name`, which Keras 3 wants without slashes, and no two alike.

        Operations get names of their own, such as "multiply_1".
        """
        name = name.replace("/", ".") or "layer"
        if self._has_operations and _OPERATION_NAME.fullmatch(name):
            name = f"{name}.layer"
        number, free = 0, name
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free
