"""What each layer gives, weighs and costs, told from its settings alone: nothing is built for it.

Shapes are those of one picture, without the batch. Formulas are Keras' own
(`compute_output_shape` and `build` of each layer).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from app.xray.checkpoint.architecture.attention import attention
from app.xray.checkpoint.architecture.given import Cost, Given, Shape
from app.xray.checkpoint.architecture.operators import BINARY, REDUCING, UNARY
from app.xray.checkpoint.architecture.spatial import (
    bias,
    convolution,
    padded,
    pooled,
    resized,
    transposed,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def cost_of(given: Given, shapes: list[Shape]) -> Cost:
    """What the layer makes of one picture's `shapes`, and what it takes for that.

    Raises:
        CheckpointCorrupt: it cannot take such, or has settings that are none.
        CheckpointRefused: one of absurd size.
    """
    if given.kind in _MERGES:
        return _MERGES[given.kind](given, shapes)
    if len(shapes) != 1 and given.kind != "MultiHeadAttention":
        raise given.wrong(f"takes {len(shapes)} tensors")
    if given.kind in UNARY or given.kind in _ALIKE:
        return Cost(shapes[0])
    return (
        _SINGLE[given.kind](given, shapes[0]) if given.kind in _SINGLE else attention(given, shapes)
    )


def _dense(given: Given, shape: Shape) -> Cost:
    *places, features = shape or (0,)
    units = given.whole("units")
    work = math.prod(places) * features * units
    return Cost((*places, units), (("kernel", (features, units)), *bias(given, units)), work)


def _globally_pooled(given: Given, shape: Shape) -> Cost:
    rank = 2 if given.kind.endswith("1D") else 3
    if len(shape) != rank:
        raise given.wrong(f"takes a map, and gets {shape}")
    ones = (1,) * (rank - 1) if given.flag("keepdims", default=False) else ()
    return Cost((*ones, shape[-1]))


def _normalized(given: Given, shape: Shape) -> Cost:
    axes = given.axes(-1, len(shape))
    extents = tuple(shape[axis] for axis in sorted(axes))
    if given.kind == "Normalization":
        if given.settings.get("mean") is not None:
            return Cost(shape)
        return Cost(shape, (("mean", extents), ("variance", extents), ("count", ())))
    if given.kind == "GroupNormalization":
        groups = given.whole("groups", 32, least=-1)
        if groups == 0 or (groups > 0 and extents[0] % groups):
            raise given.wrong(f"has {groups} groups for {extents[0]} channels")
    names = [
        name
        for name, key in (("gamma", "scale"), ("beta", "center"))
        if given.flag(key, default=True)
    ]
    if given.kind == "BatchNormalization":
        names += ["moving_mean", "moving_variance"]
    return Cost(shape, tuple((name, extents) for name in names))


def _rescaled(given: Given, shape: Shape) -> Cost:
    for key in ("scale", "offset"):
        value = given.settings.get(key, 0)
        values = value if isinstance(value, list) else [value]
        if len(values) not in (1, shape[-1] if shape else 1) or not all(
            isinstance(item, int | float) for item in values
        ):
            raise given.wrong(f"has {key} {str(value)[:40]} for {shape}")
    return Cost(shape)


def _prelu(given: Given, shape: Shape) -> Cost:
    alpha = list(shape)
    if given.settings.get("shared_axes") is not None:
        for axis in given.axes((), len(shape), "shared_axes"):
            alpha[axis] = 1
    return Cost(shape, (("alpha", tuple(alpha)),))


def _reshaped(given: Given, shape: Shape) -> Cost:
    count = math.prod(shape)
    if given.kind == "Flatten":
        return Cost((count,))
    if given.kind == "RepeatVector":
        return Cost((given.whole("n"), *shape))
    target = given.settings.get("target_shape")
    target = target if isinstance(target, list | tuple) else [target]
    if not 0 < len(target) <= 6 or not all(type(item) is int and item >= -1 for item in target):
        raise given.wrong(f"has target_shape {str(target)[:40]}")
    known = math.prod(item for item in target if item != -1)
    if target.count(-1) > 1 or not known or count % known or (-1 not in target and known != count):
        raise given.wrong(f"makes {str(target)[:40]} of {shape}")
    return Cost(tuple(count // known if item == -1 else item for item in target))


def _permuted(given: Given, shape: Shape) -> Cost:
    dims = given.settings.get("dims")
    if not isinstance(dims, list | tuple) or sorted(map(str, dims)) != sorted(
        str(axis + 1) for axis in range(len(shape))
    ):
        raise given.wrong(f"has dims {str(dims)[:40]} for {shape}")
    return Cost(tuple(shape[int(axis) - 1] for axis in dims))


def _reduced(given: Given, shape: Shape) -> Cost:
    axes = given.axes(None, len(shape))
    if given.flag("keepdims", default=False):
        return Cost(tuple(1 if i in axes else extent for i, extent in enumerate(shape)))
    return Cost(tuple(extent for i, extent in enumerate(shape) if i not in axes))


def _expanded(given: Given, shape: Shape) -> Cost:
    axis = given.axis(-1, len(shape) + 1)
    return Cost((*shape[:axis], 1, *shape[axis:]))


def _squeezed(given: Given, shape: Shape) -> Cost:
    axes = given.axes(None, len(shape))
    if any(shape[axis] != 1 for axis in axes):
        raise given.wrong(f"takes axes out of {shape} that are not of 1")
    return Cost(tuple(extent for i, extent in enumerate(shape) if i not in axes))


def sliced(given: Given, shape: Shape) -> list[slice]:
    """A slice for each axis of one picture's `shape`."""
    parts = list(given.settings["slices"])
    if parts.count("...") > 1:
        raise given.wrong("takes a part with two ellipses")
    if "..." not in parts:
        parts.append("...")
    place = parts.index("...")
    left = len(shape) + 1 - (len(parts) - 1)
    if left < 0:
        raise given.wrong(f"takes a part of {shape} along too many axes")
    parts[place : place + 1] = [[None, None, None]] * left
    batch, *rest = parts
    if batch not in ([None, None, None], [None, None, 1], [0, None, None], [0, None, 1]):
        raise given.wrong("takes a part of the batch")
    if any(step == 0 for *_, step in rest):
        raise given.wrong("has a step of 0")
    return [slice(*part) for part in rest]


def _taken(given: Given, shape: Shape) -> Cost:
    found = tuple(
        len(range(*part.indices(extent)))
        for part, extent in zip(sliced(given, shape), shape, strict=True)
    )
    if not all(found):
        raise given.wrong(f"leaves nothing of {shape}")
    return Cost(found)


def _broadcast(given: Given, shapes: list[Shape]) -> Cost:
    """As NumPy does; Keras' layers lay a vector beside the last axis of a map."""
    if not shapes:
        raise given.wrong("takes no tensor")
    rank = max(map(len, shapes))
    is_layer = given.kind[0].isupper()
    found = [1] * rank
    for shape in shapes:
        lacking = (1,) * (rank - len(shape))
        if lacking and not is_layer and shape:
            raise given.wrong(f"takes {' and '.join(map(str, shapes))[:80]}")
        for axis, extent in enumerate((*lacking, *shape)):
            if extent != 1 and found[axis] not in (1, extent):
                raise given.wrong(f"takes {' and '.join(map(str, shapes))[:80]}")
            found[axis] = max(found[axis], extent)
    return Cost(tuple(found))


def _concatenated(given: Given, shapes: list[Shape]) -> Cost:
    if not shapes or len({len(shape) for shape in shapes}) != 1:
        raise given.wrong(f"takes {' and '.join(map(str, shapes))[:80]}")
    axis = given.axis(-1, len(shapes[0]))
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(others) != 1:
        raise given.wrong(f"takes {' and '.join(map(str, shapes))[:80]}")
    first = shapes[0]
    return Cost((*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :]))


_ALIKE: Final = frozenset(
    """
    Activation Dropout ELU LeakyReLU ReLU Softmax SpatialDropout2D UnitNormalization
    """.split()
)
_MERGES: Final[dict[str, Callable[[Given, list[Shape]], Cost]]] = {
    **dict.fromkeys(("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"), _broadcast),
    **dict.fromkeys(BINARY, _broadcast),
    "Concatenate": _concatenated,
    "concatenate": _concatenated,
}
_SINGLE: Final[dict[str, Callable[[Given, Shape], Cost]]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D"), convolution),
    **dict.fromkeys(("AveragePooling2D", "MaxPooling2D"), pooled),
    **dict.fromkeys(("GlobalAveragePooling1D", "GlobalAveragePooling2D"), _globally_pooled),
    **dict.fromkeys(("GlobalMaxPooling1D", "GlobalMaxPooling2D"), _globally_pooled),
    **dict.fromkeys(("BatchNormalization", "GroupNormalization"), _normalized),
    **dict.fromkeys(("LayerNormalization", "Normalization"), _normalized),
    **dict.fromkeys(("ZeroPadding2D", "Cropping2D"), padded),
    **dict.fromkeys(("UpSampling2D", "Resizing"), resized),
    **dict.fromkeys(("Flatten", "RepeatVector", "Reshape"), _reshaped),
    **dict.fromkeys(REDUCING, _reduced),
    "Conv2DTranspose": transposed,
    "Dense": _dense,
    "PReLU": _prelu,
    "Permute": _permuted,
    "Rescaling": _rescaled,
    "expand_dims": _expanded,
    "getitem": _taken,
    "squeeze": _squeezed,
}
