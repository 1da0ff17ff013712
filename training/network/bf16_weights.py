"""Weights that are bf16 numbers, so that computing in bf16 rounds no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import keras
import numpy as np
from keras import layers

from app.xray.errors import TrainingError
from app.xray.preprocess import rescale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.contract import ModelContract

    Floats = NDArray[np.float32]

_MEASURED_ON: Final = 128
_BATCH: Final = 32


class _Pair(NamedTuple):
    """A convolution, and the batch normalization that alone takes what it gives."""

    convolution: Any
    normalization: Any


def round_weights(network: Any, first_layer: str, inputs: Floats) -> int:
    """Round the convolutions of `network`, from the layer `first_layer` on, to bf16 numbers.

    Each convolution is multiplied by the gain of the batch normalization behind it, which then has
    none: engines do the same before they round, so rounding here leaves them nothing to round. What
    rounding changes is made good in two ways. The weights of a depthwise filter keep their sum, so
    that an even part of a picture passes as before: a filter for edges with large weights would
    else answer where there is no edge. And each channel's mean over `inputs`, model inputs
    (n, height, width, channels), is moved to where it was (bias correction: Nagel et al. 2019,
    "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2).

    Convolutions without such a normalization, with an activation of their own before it, or used
    more than once stay as they are, and so do dense layers.

    Returns:
        How many convolutions were rounded.

    Raises:
        TrainingError: the network has no convolution of that name which could be rounded.
    """
    pairs = _pairs(network)
    names = [pair.convolution.name for pair in pairs]
    if first_layer not in names:
        raise TrainingError(
            f"{first_layer}: no convolution with a batch normalization behind it; there are "
            f"{', '.join(names) or 'none'}"
        )
    pairs = pairs[names.index(first_layer) :]
    expected = _means(network, [pair.normalization.output for pair in pairs], inputs)
    for (convolution, normalization), mean in zip(pairs, expected, strict=True):
        _fold(convolution, normalization)
        (moved,) = _means(network, [normalization.output], inputs)
        normalization.moving_mean.assign_add(moved - mean)
    return len(pairs)


def some_inputs(pixels: NDArray[np.uint8] | NDArray[np.float32], contract: ModelContract) -> Floats:
    """Model inputs of enough `pixels` of a split to tell means by, taken from all of it evenly."""
    chosen = np.linspace(0, len(pixels) - 1, min(len(pixels), _MEASURED_ON)).astype(np.intp)
    return rescale(pixels[chosen], contract)


def to_bf16(values: Floats) -> Floats:
    """The nearest bf16 numbers, ties to even, as float32 of the same shape."""
    rounded = keras.ops.cast(keras.ops.cast(values, "bfloat16"), "float32")
    found: Floats = keras.ops.convert_to_numpy(rounded)
    return found


def keep_sums(filters: Floats) -> Floats:
    """`filters`, float32 (weights, n), in bf16 numbers, the sum of each of the n nearly kept.

    Weight after weight takes on what rounding has changed so far, the largest first: the finer the
    numbers around a weight, the later it comes, and the last leaves next to nothing.
    """
    rounded = to_bf16(filters)
    wanted = filters.sum(axis=0, dtype=np.float64)
    columns = np.arange(filters.shape[1])
    for row in np.argsort(-np.abs(filters), axis=0):
        lacking = wanted - rounded.sum(axis=0, dtype=np.float64)
        weights = rounded[row, columns] + lacking
        rounded[row, columns] = to_bf16(weights.astype(np.float32))
    return rounded


def _pairs(network: Any) -> list[_Pair]:
    """In the order of the layers; without those whose weights are used more than once."""
    described = network.get_config()["layers"]
    shared = {
        each["config"]["name"] for each in described if len(each.get("inbound_nodes", ())) > 1
    }
    takers: dict[int, list[Any]] = {id(tensor): [None] for tensor in network.outputs}
    for layer in network.layers:
        for tensor in keras.tree.flatten(layer.input):
            takers.setdefault(id(tensor), []).append(layer)
    found = []
    for layer in network.layers:
        is_linear = getattr(layer, "activation", None) is keras.activations.linear
        if is_linear and isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            taken_by = takers.get(id(layer.output), [])
            if len(taken_by) == 1 and isinstance(taken_by[0], layers.BatchNormalization):
                found.append(_Pair(layer, taken_by[0]))
    return [pair for pair in found if not shared & {each.name for each in pair}]


def _fold(convolution: Any, normalization: Any) -> None:
    """Have the gain in the convolution's weights, which are rounded, and 1 in its place."""
    variance = keras.ops.convert_to_numpy(normalization.moving_variance)
    gain = 1 / np.sqrt(variance + np.float32(normalization.epsilon))
    if normalization.scale:
        gain *= keras.ops.convert_to_numpy(normalization.gamma)
        normalization.gamma.assign(np.ones_like(gain))
    kernel = keras.ops.convert_to_numpy(convolution.kernel)
    if isinstance(convolution, layers.DepthwiseConv2D):
        filters = kernel.reshape(-1, len(gain)) * gain
        convolution.kernel.assign(keep_sums(filters).reshape(kernel.shape))
    else:
        convolution.kernel.assign(to_bf16(kernel * gain))
    if convolution.use_bias:
        convolution.bias.assign(keras.ops.convert_to_numpy(convolution.bias) * gain)
    mean = keras.ops.convert_to_numpy(normalization.moving_mean)
    normalization.moving_mean.assign(mean * gain)
    normalization.moving_variance.assign(np.full_like(gain, 1 - np.float32(normalization.epsilon)))


def _means(network: Any, tensors: list[Any], inputs: Floats) -> list[Floats]:
    """Of each map among `tensors` the mean of each channel over all places of all `inputs`."""
    pooled = [layers.GlobalAveragePooling2D()(tensor) for tensor in tensors]
    part = keras.Model(network.input, pooled)
    batches = [inputs[start : start + _BATCH] for start in range(0, len(inputs), _BATCH)]
    sums = [
        [keras.ops.convert_to_numpy(found).sum(axis=0) for found in keras.tree.flatten(part(batch))]
        for batch in batches
    ]
    return [np.sum(each, axis=0) / np.float32(len(inputs)) for each in zip(*sums, strict=True)]
