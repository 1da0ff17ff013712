"""The stored arrays that are a network's weights, found and held against what its layers take."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.xray.checkpoint.hdf5 import names_in
from app.xray.errors import CheckpointCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py
    from numpy.typing import NDArray

    from app.xray.checkpoint.architecture import Architecture, Layer, Sums
    from app.xray.checkpoint.container import Contents

    Named = tuple[tuple[str, tuple[int, ...]], ...]

_KERAS_3_ROOTS: Final = ("layers", "_layer_checkpoint_dependencies")
"""The group of a model's layers, and as the first versions of the format called it."""
_TRAINED: Final = frozenset({"moving_mean", "moving_variance", "mean", "variance", "count"})
"""Names of weights that no layer trains."""
_PARTS: Final = {
    "query": ("query_dense", "_query_dense"),
    "key": ("key_dense", "_key_dense"),
    "value": ("value_dense", "_value_dense"),
    "output": ("output_dense", "_output_dense"),
}
"""Of attention, as Keras 3 and Keras 2 call them in Keras 3's file."""
_OUTPUT_OF_ATTENTION: Final = "attention_output"


def find_weights(
    contents: Contents, network: Architecture, sums: Sums
) -> dict[int, list[h5py.Dataset]]:
    """The arrays of each layer of `network` that has any, in the order of `Cost.weights`.

    Raises:
        CheckpointCorrupt: a layer has none, or of another shape; names it and both shapes.
    """
    expected: dict[int, Named] = {}
    for call, cost in zip(network.calls, sums.costs, strict=True):
        if expected.setdefault(call.layer, cost.weights) != cost.weights:
            raise CheckpointCorrupt(
                f"layer {network.layers[call.layer].name[:60]!r} is called on maps that need "
                "other weights each"
            )
    expected = {index: named for index, named in expected.items() if named}
    find = _in_a_zip if contents.format == "keras" else _in_a_legacy_file
    found = dict(find(contents.weights, network, expected))
    for index, named in expected.items():
        _hold(network.layers[index], named, found[index])
    return found


def values_of(arrays: list[h5py.Dataset]) -> list[NDArray[np.float32]]:
    """Their values, float32.

    Raises CheckpointCorrupt where one is not finite.
    """
    values = [array[()].astype(np.float32) for array in arrays]
    for array, value in zip(arrays, values, strict=True):
        if not np.isfinite(value).all():
            raise CheckpointCorrupt(f"{array.name}: weights that are no finite numbers")
    return values


def _hold(layer: Layer, named: Named, arrays: list[h5py.Dataset]) -> None:
    stored = [tuple(array.shape) for array in arrays]
    wanted = [shape for _, shape in named]
    if stored != wanted:
        raise CheckpointCorrupt(
            f"layer {layer.name[:60]!r}, a {layer.kind}, takes weights of {_shown(wanted)}, the "
            f"file has {_shown(stored)}"
        )
    if any(
        array.dtype.kind != "f" and name != "count"
        for array, (name, _) in zip(arrays, named, strict=True)
    ):
        raise CheckpointCorrupt(
            f"layer {layer.name[:60]!r} has weights of {arrays[0].dtype}; float16 to float64 are "
            "read"
        )


def _shown(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) or "1" for shape in shapes)[:80] or "none"


def _in_a_zip(
    root: h5py.Group, network: Architecture, expected: dict[int, Named]
) -> Iterator[tuple[int, list[h5py.Dataset]]]:
    import h5py

    top = next((name for name in _KERAS_3_ROOTS if name in root), _KERAS_3_ROOTS[0])
    for index, named in expected.items():
        layer = network.layers[index]
        group = root.get(layer.stored.replace(_KERAS_3_ROOTS[0], top))
        name = group.attrs.get("name", layer.name) if isinstance(group, h5py.Group) else layer.name
        if name != layer.name:
            raise CheckpointCorrupt(
                f"where the weights of layer {layer.name[:60]!r} are to be, the file has those of "
                f"{str(name)[:60]!r}"
            )
        yield index, [item for item in _variables(group, named) if isinstance(item, h5py.Dataset)]


def _variables(group: Any, named: Named) -> Iterator[Any]:
    """What Keras 3 numbers from 0 in a layer's group `vars`, or in that of a part of it."""
    import h5py

    if not isinstance(group, h5py.Group):
        return
    counts: dict[str, int] = defaultdict(int)
    for name, _ in named:
        part = name.split("/")[0] if "/" in name else ""
        place = next((f"{inner}/" for inner in _PARTS.get(part, ()) if inner in group), "")
        yield group.get(f"{place}vars/{counts[part]}")
        counts[part] += 1


def _in_a_legacy_file(
    weights: h5py.Group, network: Architecture, expected: dict[int, Named]
) -> Iterator[tuple[int, list[h5py.Dataset]]]:
    import h5py

    members: dict[str, list[int]] = defaultdict(list)
    for index in expected:
        members[network.layers[index].path[0]].append(index)
    for top, indices in members.items():
        group = weights.get(top)
        names = list(names_in(group, "weight_names")) if isinstance(group, h5py.Group) else []
        arrays = {name: group.get(name) for name in names}
        stored = [(name, item) for name, item in arrays.items() if isinstance(item, h5py.Dataset)]
        by_name = {
            index: _by_name(network.layers[index], expected[index], stored) for index in indices
        }
        is_one = [network.layers[index].path for index in indices] == [(top,)]
        if is_one or all(_fits(expected[index], found) for index, found in by_name.items()):
            yield from by_name.items()
        else:
            layers = [(index, network.layers[index]) for index in indices]
            yield from _by_order(layers, expected, [item for _, item in stored]).items()


def _by_name(
    layer: Layer, named: Named, stored: list[tuple[str, h5py.Dataset]]
) -> list[h5py.Dataset]:
    """The arrays whose names say that they are this layer's; each by its own name if that fits."""
    if len(layer.path) > 1:
        stored = [
            (name, item)
            for name, item in stored
            if name.startswith(f"{layer.name}/") or f"/{layer.name}/" in name
        ]
    wanted = [name.replace("output/", f"{_OUTPUT_OF_ATTENTION}/") for name, _ in named]
    exact = [
        [item for name, item in stored if f"/{name.split(':')[0]}".endswith(f"/{want}")]
        for want in wanted
    ]
    if all(len(items) == 1 for items in exact):
        return [items[0] for items in exact]
    return [item for _, item in stored]


def _by_order(
    layers: list[tuple[int, Layer]], expected: dict[int, Named], arrays: list[h5py.Dataset]
) -> dict[int, list[h5py.Dataset]]:
    """As Keras reads a model within the model: what is trained of all layers, then what is not."""
    found: dict[int, dict[int, h5py.Dataset]] = {index: {} for index, _ in layers}
    order = [
        (index, place)
        for is_trained in (True, False)
        for index, layer in layers
        for place, (name, _) in enumerate(expected[index])
        if (layer.is_trainable and name not in _TRAINED) is is_trained
    ]
    for (index, place), item in zip(order, arrays, strict=False):
        found[index][place] = item
    if len(order) != len(arrays) and layers:
        _, layer = layers[0]
        raise CheckpointCorrupt(
            f"the layers of {layer.path[0][:60]!r} take {len(order)} arrays of weights, the file "
            f"has {len(arrays)}"
        )
    return {index: [items[place] for place in sorted(items)] for index, items in found.items()}


def _fits(named: Named, arrays: list[h5py.Dataset]) -> bool:
    return [shape for _, shape in named] == [tuple(array.shape) for array in arrays]
