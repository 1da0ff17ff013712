"""How a network's answer depends on what its head sees: a function that every engine can run.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) weighs each channel k of the last map A by
alpha_k = 1/Z sum_ij dy/dA_kij (equation 1). Where the head sees one number a channel, the
maximum or the mean of its places, those derivatives sum to dy/dpooled_k: all of it flows to the
place of the maximum, or an equal share to each. So the head alone is differentiated, and the
network, whose pass gave the map and its summary already, is neither run nor held a second time.
Where the map was flattened, the sum over the places is `app.explain`'s to take.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.engines.probes import TOLERANCE
from app.xray.errors import NotExplainable
from app.xray.network import import_keras

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.engines.engine import Output

_SUMMARIES: Final = frozenset(
    """
    AveragePooling2D Flatten GlobalAveragePooling2D GlobalMaxPooling2D MaxPooling2D Reshape
    """.split()
)
"""Layers for which the sum of equation 1 is as above."""
_LEAST: Final = 1e-30
"""So that a probability that is 0 in float32 has a logarithm, and that a finite slope."""


def build_gradients(network: Any, seen: Output) -> Callable[[Any], Any]:
    """How each class's logit depends on what the head sees.

    The logit of a class is taken as log p_c less the mean of all log p_j: what a softmax was made
    of, centred. It does not level out as p_c comes near 1, as p_c itself does.

    Args:
        network: as `expose_features` gives it; its weights are shared.
        seen: what it gave for pictures, with features, to hold the head against.

    Returns:
        A function from a float32 tensor (n, features) to one (n, classes, features), made of what
        LiteRT can run as far as the layers allow.

    Raises:
        NotExplainable: there is no map, the head is no chain of layers, sees no plain summary of
            the map, or does not give the network's probabilities within `TOLERANCE`.
    """
    import tensorflow as tf

    if seen.pooled is None:
        raise NotExplainable("no layer makes a map into a vector")
    shape, head = _find_head(network)
    logits = partial(_logits, shape=shape, head=head)
    try:
        found = np.asarray(tf.nn.softmax(logits(tf.constant(seen.pooled))))
        difference = float(np.abs(found - seen.probabilities).max())
    except Exception as error:  # Keras raises whatever a layer leads it to
        raise NotExplainable(f"its head cannot be run alone: {error}") from error
    if not difference <= TOLERANCE:
        raise NotExplainable(
            f"its head alone departs from the network by up to {difference:.2g} "
            f"(allowed: {TOLERANCE:g})"
        )
    count = seen.probabilities.shape[1]
    centred = (np.eye(count) - 1 / count).astype(np.float32)

    def gradients(pooled: Any) -> Any:
        pooled = tf.convert_to_tensor(pooled)
        # A row for each class, so that one pass back serves them all.
        features = pooled.shape[1]
        rows = tf.reshape(tf.tile(pooled[:, None], [1, count, 1]), [-1, features])
        with tf.GradientTape() as tape:
            tape.watch(rows)
            answers = logits(rows)
        classes = tf.tile(centred, [tf.shape(pooled)[0], 1])
        slopes = tape.gradient(answers, rows, classes, tf.UnconnectedGradients.ZERO)
        return tf.reshape(slopes, [-1, count, features])

    return gradients


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
