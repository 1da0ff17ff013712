"""An inspected checkpoint -> a Keras model. Keras is imported only when a model is built."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, Protocol

from app.xray.checkpoint.hdf5 import MAX_WEIGHT_BYTES
from app.xray.checkpoint.read import brief, file_sha256, refuse_unless_shapes
from app.xray.errors import CheckpointCorrupt, CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.xray.checkpoint import Checkpoint

_LIMITS: Final = {
    "the weights": MAX_WEIGHT_BYTES,
    "the output of a layer for one picture": 1 << 28,
}
_BYTES_A_NUMBER: Final = 4


def hush_tensorflow() -> None:
    """Have TensorFlow log no less than errors, unless the environment says otherwise.

    Takes effect only before TensorFlow is imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def import_keras() -> Any:
    """The `keras` module."""
    hush_tensorflow()
    import keras

    return keras


def build_network(checkpoint: Checkpoint) -> Any:
    """Rebuild the network and load its weights; the optimizer's state is never read.

    Returns a `keras.Model` from float32 (n, height, width, channels) to float32 (n, outputs),
    of which `ModelContract.probabilities_of` makes probabilities.

    Raises:
        CheckpointCorrupt: configuration, weights and contract do not fit together, or the file
            changed while it was read.
        CheckpointRefused: it would take too much memory; told before any is taken.
    """
    keras = import_keras()
    is_sequential = checkpoint.config["class_name"] == "Sequential"
    kind = keras.Sequential if is_sequential else keras.Model
    try:
        _count_first(kind, deepcopy(checkpoint.config["config"]))  # it is used up
        network = kind.from_config(deepcopy(checkpoint.config["config"]))
        network.load_weights(checkpoint.path)
        shapes = network.input_shape, network.output_shape
    except CheckpointRefused as error:
        raise CheckpointRefused(f"{checkpoint.path}: {error}") from error
    except Exception as error:  # Keras raises whatever the configuration leads it to
        raise CheckpointCorrupt(
            f"{checkpoint.path}: Keras cannot rebuild the model: {brief(error)}"
        ) from error
    if file_sha256(checkpoint.path) != checkpoint.sha256:
        raise CheckpointCorrupt(f"{checkpoint.path}: changed while it was read; load it again")
    refuse_unless_shapes(*shapes, checkpoint)
    return network


def expose_features(
    network: Any, *, layout: Layout | None = None, before: Callable[[Any], bool] | None = None
) -> Any:
    """The same network, its weights shared, with what its head sees beside its answer.

    Models within the model are laid open on the way.

    Args:
        network: from float32 (n, height, width, channels) to float32 (n, outputs).
        layout: how layers are called where they are called otherwise than they are; the maps of
            the network that is given back have their channels where it puts them.
        before: of which layers what goes into them is given back too, where it is one map.

    Returns:
        A `keras.Model` from one picture, float32 (n, height, width, channels) but for `layout`, to
        a dictionary of float32: "probabilities", what it gives, (n, outputs), "feature_map" (n,
        rows, columns, channels), the last that still has an extent, "pooled" (n, features), what
        is made of that map, and "before/NAME" for each layer that `before` names.
    """
    keras = import_keras()
    layout = layout or _AsItIs()

    def lay_open(model: Any) -> Any:
        """`model` from a fresh input to its "output", and the features where it has them."""
        features: dict[str, Any] = {}

        def run(layer: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
            if isinstance(layer, keras.Model):
                found = lay_open(layer)(inputs)
                outputs = found.pop("output")
                features.update(found)
                return outputs
            if before and before(layer) and len(getattr(inputs, "shape", ())) == 4:
                features.setdefault(f"before/{layer.name}", inputs)
            outputs = layout.call(layer, inputs, *rest, **options)
            if layout.has_extent(inputs) and not layout.has_extent(outputs):
                flatten = keras.layers.Flatten(name=f"cxr_pooled_by_{layer.name}")
                features.update(feature_map=inputs, pooled=flatten(outputs))
            return outputs

        inputs = keras.Input(layout.shape(model.input_shape[1:]))
        if isinstance(model, keras.Sequential):
            output = reduce(lambda tensor, layer: run(layer, tensor), model.layers, inputs)
        else:
            output = keras.models.clone_model(
                model, input_tensors=inputs, clone_function=lambda layer: layer, call_function=run
            ).output
        return keras.Model(inputs, {"output": output, **features})

    opened = lay_open(network)
    outputs = dict(opened.output)
    return keras.Model(opened.input, {"probabilities": outputs.pop("output"), **outputs})


class Layout(Protocol):
    """Where the channels of a network's maps are, and how its layers are called on them."""

    def shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """That of one map in this layout, for (rows, columns, channels); others as they are."""
        ...

    def has_extent(self, tensor: Any) -> bool:
        """Whether it is a map of more than one place."""
        ...

    def call(self, layer: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        """What `layer`, made for channels last, makes of `inputs` in this layout."""
        ...


class _AsItIs:
    """Channels last, as all networks come."""

    def shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return shape

    def has_extent(self, tensor: Any) -> bool:
        shape = getattr(tensor, "shape", ())
        return len(shape) == 4 and shape[1:3] != (1, 1)

    def call(self, layer: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        return layer(inputs, *rest, **options)


def _count_first(kind: Any, config: dict[str, Any]) -> None:
    """Build the network without its weights, and hold what they would take against the limits.

    In a thread of its own, since Keras keeps a list, one a thread, of variables that have no values
    yet, and gives them some at the next occasion.

    Raises:
        CheckpointRefused: weights, or what one layer makes of one picture, take too much memory.
    """
    keras = import_keras()

    def count() -> tuple[int, int]:
        with keras.StatelessScope(initialize_variables=False):
            network = kind.from_config(config)
        weights = sum(math.prod(weight.shape) for weight in network.weights)
        outputs = (math.prod(shape[1:]) for shape in _shapes_within(keras, network))
        return weights, max(outputs, default=0)

    with ThreadPoolExecutor(1, "counting") as thread:
        counted = thread.submit(count).result()
    for numbers, (what, limit) in zip(counted, _LIMITS.items(), strict=True):
        if numbers * _BYTES_A_NUMBER > limit:
            raise CheckpointRefused(
                f"{what} would take {numbers * _BYTES_A_NUMBER:,} bytes; up to {limit:,} are taken"
            )


def _shapes_within(keras: Any, model: Any) -> Iterator[tuple[int, ...]]:
    """What every layer makes, in models within the model too; an unknown extent counts as one."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _shapes_within(keras, layer)
            continue
        for tensor in keras.tree.flatten(layer.output):
            yield tuple(extent or 1 for extent in tensor.shape)
        if isinstance(layer, keras.layers.SeparableConv2D):  # its first half shows in no output
            *places, _ = layer.output.shape
            yield tuple(extent or 1 for extent in (*places, *layer.depthwise_kernel.shape[2:]))
