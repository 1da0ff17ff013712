"""A network laid open: what its head sees beside its answer."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, Protocol

from app.xray.network.library import import_keras

if TYPE_CHECKING:
    from collections.abc import Callable


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
