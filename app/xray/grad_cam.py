"""How a network's answer depends on what its head sees: a function that every engine can run.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) weighs each channel k of the last map A by
alpha_k = 1/Z sum_ij dy/dA_kij (equation 1). Where the head sees one number a channel, the
maximum or the mean of its places, those derivatives sum to dy/dpooled_k: all of it flows to the
place of the maximum, or an equal share to each. So the head alone is differentiated, and the
network, whose pass gave the map and its summary already, is neither run nor held a second time.
Where the map was flattened, the sum over the places is `heat_map`'s to take.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.xray.errors import EngineError, NotExplainable
from app.xray.network import import_keras
from app.xray.probes import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_SUMMARIES: Final = frozenset(
    """
    AveragePooling2D Flatten GlobalAveragePooling2D GlobalMaxPooling2D MaxPooling2D Reshape
    """.split()
)
"""Layers for which the sum of equation 1 is as above."""
_LEAST: Final = 1e-30
"""So that a probability that is 0 in float32 has a logarithm, and that a finite slope."""


def build_gradients(
    network: Any, pooled: NDArray[np.float32] | None, probabilities: NDArray[np.float32]
) -> Callable[[Any], Any]:
    """How each class's logit depends on what the head sees.

    The logit of a class is taken as log p_c less the mean of all log p_j: what a softmax was made
    of, centred. It does not level out as p_c comes near 1, as p_c itself does.

    Args:
        network: as `expose_features` gives it; its weights are shared.
        pooled: what it gave for some pictures, float32 (m, features); None without a map.
        probabilities: what else it gave for them, (m, classes), to hold the head against.

    Returns:
        A function from a float32 tensor (n, features) to one (n, classes, features), made of what
        LiteRT can run as far as the layers allow.

    Raises:
        NotExplainable: there is no map, the head is no chain of layers, sees no plain summary of
            the map, or does not give the network's probabilities within `TOLERANCE`.
    """
    import tensorflow as tf

    if pooled is None:
        raise NotExplainable("no layer makes a map into a vector")
    shape, head = _find_head(network)
    logits = partial(_logits, shape=shape, head=head)
    try:
        found = np.asarray(tf.nn.softmax(logits(tf.constant(pooled))))
        difference = float(np.abs(found - probabilities).max())
    except Exception as error:  # Keras raises whatever a layer leads it to
        raise NotExplainable(f"its head cannot be run alone: {error}") from error
    if not difference <= TOLERANCE:
        raise NotExplainable(
            f"its head alone departs from the network by up to {difference:.2g} "
            f"(allowed: {TOLERANCE:g})"
        )
    count = probabilities.shape[1]
    centred = (np.eye(count) - 1 / count).astype(np.float32)

    def gradients(summaries: Any) -> Any:
        summaries = tf.convert_to_tensor(summaries)
        # A row for each class, so that one pass back serves them all.
        features = summaries.shape[1]
        rows = tf.reshape(tf.tile(summaries[:, None], [1, count, 1]), [-1, features])
        with tf.GradientTape() as tape:
            tape.watch(rows)
            answers = logits(rows)
        classes = tf.tile(centred, [tf.shape(summaries)[0], 1])
        slopes = tape.gradient(answers, rows, classes, tf.UnconnectedGradients.ZERO)
        return tf.reshape(slopes, [-1, count, features])

    return gradients


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


def _find_head(network: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The shape of what the head's first layer takes, and its layers in order."""
    outputs = network.output
    _, _, summary = next(_chain(outputs["pooled"]))  # `expose_features` has flattened it
    head: list[Any] = []
    for layer, made, _ in _chain(outputs["probabilities"]):
        if made is summary:
            if type(layer).__name__ not in _SUMMARIES:
                raise NotExplainable(f"layer {layer.name!r} weighs the places of the last map")
            return tuple(made.shape[1:]), head[::-1]
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


def _logits(pooled: Any, *, shape: tuple[int, ...], head: list[Any]) -> Any:
    """(n, classes): logarithms of the head's probabilities, but for a number to each row.

    Where a softmax comes last they are what it takes, which no rounding has cut off.
    """
    import tensorflow as tf

    tensor = tf.reshape(pooled, [-1, *shape])
    activate: Callable[[Any], Any] = _leave
    for layer in head:
        weigh, following = _take_apart(layer)
        tensor, activate = weigh(activate(tensor)), following
    if activate is import_keras().activations.softmax:
        return tensor
    return tf.math.log(tf.maximum(_LEAST, activate(tensor)))


def _take_apart(layer: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """What `layer` does before its activation, and that activation."""
    keras = import_keras()
    rectifiers: dict[Any, Callable[[Any], Any]] = {
        keras.activations.relu: _rectify,
        keras.activations.relu6: partial(_rectify, highest=6.0),
        keras.activations.leaky_relu: partial(_rectify, slope=0.2),  # Keras' own default
    }
    found = getattr(layer, "activation", _leave)
    activation = rectifiers.get(found, found)
    kind = type(layer).__name__
    if kind == "Dense":
        return partial(_multiply, layer=layer), activation
    if kind == "Activation":
        return _leave, activation
    if kind == "Softmax" and layer.axis == -1:
        return _leave, keras.activations.softmax
    if kind == "ReLU" and not layer.threshold:
        options = {"slope": float(layer.negative_slope), "highest": layer.max_value}
        return _leave, partial(_rectify, **options)
    if kind == "LeakyReLU":
        return _leave, partial(_rectify, slope=float(layer.negative_slope))
    return partial(layer, training=False), _leave


def _leave(tensor: Any) -> Any:
    return tensor


def _multiply(tensor: Any, *, layer: Any) -> Any:
    """A dense layer without its activation."""
    keras = import_keras()
    product = keras.ops.matmul(tensor, layer.kernel)
    return keras.ops.add(product, layer.bias) if layer.use_bias else product


def _rectify(tensor: Any, *, slope: float = 0.0, highest: float | None = None) -> Any:
    """A rectified linear unit of operations whose derivatives LiteRT has, unlike its own.

    Where both sides are equal TensorFlow takes the derivative of the first: of the constant.
    """
    import tensorflow as tf

    positive = tf.maximum(0.0, tensor)
    if highest is not None:
        positive = tf.minimum(float(highest), positive)
    return positive - slope * tf.maximum(0.0, -tensor) if slope else positive
