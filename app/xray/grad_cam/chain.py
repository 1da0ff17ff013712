"""Where a picture speaks for a class: Grad-CAM, of what a network's head makes of its last map.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) weighs each channel k of the last map A by
alpha_k = 1/Z sum_ij dy/dA_kij (equation 1). Where the head sees one number a channel, the
maximum or the mean of its places, those derivatives sum to dy/dpooled_k: all of it flows to the
place of the maximum, or an equal share to each. So the head alone is differentiated, and the
network, whose pass gave the map and its summary already, is neither run nor held a second time.
Where the map was flattened, the sum over the places is `heat_map`'s to take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.xray.errors import EngineError, NotExplainable
from app.xray.grad_cam.activations import Elu, Rectify, Smooth, by_name
from app.xray.grad_cam.head import Complement, Head, Pair, Scale, Softmax, Weigh
from app.xray.network import import_keras
from app.xray.probes import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from app.xray.contract.outputs import Output
    from app.xray.grad_cam.head import Step

_SUMMARIES: Final = frozenset(
    """
    AveragePooling2D Flatten GlobalAveragePooling2D GlobalMaxPooling2D MaxPooling2D Reshape
    """.split()
)
"""Layers for which the sum of equation 1 is as above."""
_IDENTITIES: Final = frozenset(
    """
    AveragePooling2D Dropout Flatten GaussianDropout GaussianNoise GlobalAveragePooling2D
    GlobalMaxPooling2D MaxPooling2D Reshape SpatialDropout2D
    """.split()
)
"""Layers that change no number of a map of one place when they infer."""


def take_head(
    network: Any,
    pooled: NDArray[np.float32] | None,
    probabilities: NDArray[np.floating[Any]],
    output: Output = "softmax",
) -> Head:
    """The layers that follow the last map, as numbers, see `Head`.

    Args:
        network: as `expose_features` gives it, its channels last.
        pooled: what it gave for some pictures, float32 (m, features); None without a map.
        probabilities: those of the classes in what else it gave for them, (m, classes), to hold
            the head against.
        output: how the network ends, by the name in its contract.

    Raises:
        NotExplainable: there is no map, the head is no chain of layers, has one that is not known
            here, sees no plain summary of the map, or does not give the network's probabilities
            within `TOLERANCE`.
    """
    if pooled is None:
        raise NotExplainable("no layer makes a map into a vector")
    steps = [step for layer in _find_head(network) for step in _steps(layer)]
    if not steps:
        raise NotExplainable("no layer follows the last map's summary")
    ending = _ending(steps, output, classes=probabilities.shape[1])
    head = Head((*steps, *ending), multi_label=output == "sigmoid")
    found = head.probabilities(pooled)
    if found.shape != probabilities.shape:
        raise NotExplainable(f"its head alone gives {found.shape[1]} numbers")
    difference = float(np.abs(found - probabilities).max())
    if not difference <= TOLERANCE:
        raise NotExplainable(
            f"its head alone departs from the network by up to {difference:.2g} "
            f"(allowed: {TOLERANCE:g})"
        )
    return head


def heat_map(
    feature_map: NDArray[np.float32], gradients: NDArray[np.float32], label: int
) -> NDArray[np.float32]:
    """How much each place of the last map speaks for a class: Grad-CAM's equations 1 and 2.

    Selvaraju et al. 2017, arXiv:1610.02391. The constant 1/Z of equation 1 falls out, since the
    map is measured by its own maximum: it says where, not how much, and two are not comparable.

    Args:
        feature_map: one picture's, float32 (rows, columns, channels).
        gradients: of every class's logit, float32 (classes, features), by what an engine made of
            that map: a feature for each channel (its maximum or mean over the places), or one for
            each value of the map in order (it was flattened).
        label: which class.

    Returns:
        float32 (rows, columns), 0 to 1; all 0 where no place speaks for the class.

    Raises:
        EngineError: the network gave no numbers.
        ValueError: there is no such class, or map and gradients are not of one network.
    """
    channels = feature_map.shape[-1]
    if not 0 <= label < len(gradients):
        raise ValueError(f"class {label}: expected 0 to {len(gradients) - 1}")
    if gradients.shape[1] not in (channels, feature_map.size):
        raise ValueError(f"{gradients.shape[1]} features for a map of {feature_map.shape}")
    weights = gradients[label].reshape(-1, channels).sum(axis=0, dtype=np.float64)
    if not (np.isfinite(weights).all() and np.isfinite(feature_map).all()):
        raise EngineError("the network gave a map or gradients that are not finite")
    evidence: NDArray[np.float64] = (feature_map.astype(np.float64) @ weights).clip(0, None)
    peak = evidence.max()
    return (evidence / peak if peak > 0 else evidence).astype(np.float32)


def _ending(steps: list[Step], output: Output, classes: int) -> list[Step]:
    """What makes the probabilities of the classes of what `steps`, the network's own, give.

    A sigmoid that stands alone is taken out of `steps`, since its logit is that of the pair.
    """
    if output == "sigmoid-one":
        if steps[-1] != Smooth("sigmoid"):
            return [Complement()]
        steps.pop()
        return [Pair(), Softmax()]
    if output == "logits":
        is_alone = classes == 2 and isinstance(steps[-1], Weigh) and steps[-1].kernel.shape[1] == 1
        return [Pair(), Softmax()] if is_alone else [Softmax()]
    return []


def _find_head(network: Any) -> list[Any]:
    """The layers of the head, in order."""
    outputs = network.output
    _, _, summary = next(_chain(outputs["pooled"]))  # `expose_features` has flattened it
    head: list[Any] = []
    for layer, made, _ in _chain(outputs["probabilities"]):
        if made is summary:
            if type(layer).__name__ not in _SUMMARIES:
                raise NotExplainable(f"layer {layer.name!r} weighs the places of the last map")
            return head[::-1]
        head.append(layer)
    raise NotExplainable("its answer does not come of the last map alone")


def _chain(tensor: Any) -> Iterator[tuple[Any, Any, Any]]:
    """The layers that made `tensor`, last first, each with what it made and of what.

    Models within the model are laid open.
    """
    keras = import_keras()
    while True:
        layer, call, position = tensor._keras_history
        if isinstance(layer, keras.layers.InputLayer):
            return
        inputs = layer._inbound_nodes[call].input_tensors
        if len(inputs) != 1:
            raise NotExplainable(f"layer {layer.name!r} of its head joins {len(inputs)} branches")
        if isinstance(layer, keras.Model):
            yield from _chain(layer.outputs[position])
        else:
            yield layer, tensor, inputs[0]
        tensor = inputs[0]


def _steps(layer: Any) -> list[Step]:
    """What `layer` does to the numbers of one vector, or of a map of one place.

    Raises:
        NotExplainable: it is not among the layers that are known here, and is named.
    """
    kind = type(layer).__name__
    if kind not in ("Flatten", "Reshape") and any(
        extent != 1 for extent in layer.input.shape[1:-1]
    ):
        raise _unknown(layer)
    if kind in _IDENTITIES:
        return []
    if kind == "Dense" or (kind == "Conv2D" and layer.kernel_size == (1, 1) and layer.groups == 1):
        kernel = _numbers(layer.kernel)
        bias = _numbers(layer.bias) if layer.use_bias else None
        return [Weigh(kernel.reshape(kernel.shape[-2:]), bias), *_activation(layer)]
    if kind == "BatchNormalization":
        return [_scale(layer)]
    if kind == "Activation":
        return _activation(layer)
    if kind == "Softmax" and layer.axis == -1:
        return [Softmax()]
    if kind == "ReLU" and not layer.threshold:
        return [Rectify(float(layer.negative_slope), layer.max_value)]
    if kind == "LeakyReLU":
        return [Rectify(float(layer.negative_slope))]
    if kind == "PReLU":
        return [Rectify(_numbers(layer.alpha).reshape(-1))]
    if kind == "ELU":
        return [Elu(float(layer.alpha))]
    raise _unknown(layer)


def _activation(layer: Any) -> list[Step]:
    name = str(getattr(layer.activation, "__name__", layer.activation))
    if name == "linear":
        return []
    if name == "softmax":
        return [Softmax()]
    if (found := by_name(name)) is None:
        raise NotExplainable(f"layer {layer.name!r} of its head has the activation {name}")
    return [found]


def _scale(layer: Any) -> Scale:
    mean, variance = _numbers(layer.moving_mean), _numbers(layer.moving_variance)
    factor = 1 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
    if layer.scale:
        factor *= _numbers(layer.gamma)
    offset = -mean * factor
    return Scale(factor, offset + _numbers(layer.beta) if layer.center else offset)


def _numbers(variable: Any) -> NDArray[np.float32]:
    return np.array(import_keras().ops.convert_to_numpy(variable), np.float32)


def _unknown(layer: Any) -> NotExplainable:
    return NotExplainable(
        f"layer {layer.name!r} of its head is a {type(layer).__name__} that is not differentiated"
    )
