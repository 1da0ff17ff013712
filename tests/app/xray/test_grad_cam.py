from __future__ import annotations

from functools import reduce
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from app.inference.engines.engine import Output
from app.xray.errors import NotExplainable
from app.xray.grad_cam import take_head
from app.xray.network import expose_features
from tests.bounds import HEAD_GRADIENTS

INPUTS = np.random.default_rng(3).random((4, 24, 20, 3), dtype=np.float32)


def body() -> list[Any]:
    """To a map of 11 x 9 places and 8 channels."""
    return [layers.Conv2D(8, 3, strides=2), layers.BatchNormalization(), layers.ReLU()]


def dense() -> list[Any]:
    return [
        layers.Dense(12, activation="relu"),
        layers.Dropout(0.5),
        layers.BatchNormalization(),
        layers.Dense(3, activation="softmax"),
    ]


def build(stack: list[Any]) -> Any:
    inputs = keras.Input(INPUTS.shape[1:])
    return keras.Model(inputs, run(stack, inputs))


def run(stack: list[Any], tensor: Any) -> Any:
    return reduce(lambda made, layer: layer(made), stack, tensor)


def look(network: Any) -> tuple[Any, Output]:
    """The network laid open, and what it gives for the inputs."""
    exposed = expose_features(network)
    found = exposed(INPUTS, training=False)
    return exposed, Output(**{name: np.asarray(tensor) for name, tensor in found.items()})


def gradients_of(network: Any) -> np.ndarray:
    exposed, seen = look(network)
    assert seen.pooled is not None
    return take_head(exposed, seen.pooled, seen.probabilities).gradients(seen.pooled)


def by_the_map(front: list[Any], back: list[Any]) -> np.ndarray:
    """What Grad-CAM's equation 1 says, but for 1/Z: sum_ij dy_c/dA_kij, (n, classes, channels)."""
    maps = run(front, tf.constant(INPUTS))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(maps)
        logs = tf.math.log(run(back, maps))
        logits = logs - tf.reduce_mean(logs, axis=1, keepdims=True)
    # One class after the other: all at once is traced first, which costs more.
    jacobian = tape.batch_jacobian(logits, maps, experimental_use_pfor=False)
    return np.asarray(tf.reduce_sum(jacobian, axis=(2, 3)))


HEADS = {
    "the maximum": lambda: [layers.GlobalMaxPooling2D(), *dense()],
    "the mean": lambda: [layers.GlobalAveragePooling2D(), *dense()],
    "a mean that keeps its places": lambda: [
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Conv2D(3, 1),
        layers.Reshape((3,)),
        layers.Activation("softmax"),
    ],
    "a maximum over one window": lambda: [layers.MaxPooling2D((11, 9)), layers.Flatten(), *dense()],
    "the whole map": lambda: [layers.Flatten(), *dense()],
    "the mean, softmax apart": lambda: [
        layers.GlobalAveragePooling2D(),
        layers.Dense(5),
        layers.LeakyReLU(0.3),
        layers.Dense(5, activation="relu6"),
        layers.Dense(3),
        layers.Softmax(),
    ],
    "the mean, softmax not last": lambda: [
        layers.GlobalMaxPooling2D(),
        *dense(),
        layers.Dropout(0.1),
    ],
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_they_are_those_by_the_map_itself_summed_over_its_places(head: Any) -> None:
    keras.utils.set_random_seed(5)
    front, back = body(), head()
    found = gradients_of(build([*front, *back]))
    expected = by_the_map(front, back)
    summed = found.reshape(len(INPUTS), 3, -1, 8).sum(axis=2)
    assert np.abs(expected).max() > 1e-2
    assert np.abs(summed - expected).max() < HEAD_GRADIENTS * np.abs(expected).max()


ACTIVATIONS = (
    "linear relu relu6 leaky_relu elu selu gelu silu swish hard_silu sigmoid hard_sigmoid tanh "
    "softplus softsign exponential softmax"
).split()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("place", ["within", "last"])
def test_each_activation_has_the_derivative_that_tensorflow_finds(name: str, place: str) -> None:
    keras.utils.set_random_seed(5)
    units = [layers.Dense(6, activation=name), layers.Dense(3, activation="softmax")]
    if place == "last":  # of a network whose answers are no softmax, and are brought above 0
        units = [
            layers.Dense(3, activation=name, kernel_initializer="zeros", bias_initializer="ones"),
        ]
    front, back = body(), [layers.GlobalAveragePooling2D(), *units]
    network = build([*front, *back])
    for weight in network.weights:
        if weight.trainable:
            noise = np.random.default_rng(1).normal(scale=0.3, size=weight.shape)
            weight.assign_add(noise.astype(np.float32))
    found, expected = gradients_of(network), by_the_map(front, back)
    assert np.abs(expected).max() > 1e-3
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


LAYERS = {
    "ReLU": lambda: layers.ReLU(0.4, negative_slope=0.1),
    "LeakyReLU": lambda: layers.LeakyReLU(0.3),
    "ELU": lambda: layers.ELU(0.7),
    "PReLU": lambda: layers.PReLU(alpha_initializer="random_uniform"),
    "Softmax": lambda: layers.Softmax(),
    "BatchNormalization": lambda: layers.BatchNormalization(scale=False),
    "BatchNormalization without a center": lambda: layers.BatchNormalization(center=False),
    "Dense without a bias": lambda: layers.Dense(4, use_bias=False),
    "noise": lambda: layers.GaussianNoise(1.0),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_each_layer_of_a_head_has_the_derivative_that_tensorflow_finds(make: Any) -> None:
    keras.utils.set_random_seed(5)
    layer = make()
    front = body()
    back = [layers.GlobalMaxPooling2D(), layers.Dense(6), layer, *dense()]
    network = build([*front, *back])
    if isinstance(layer, layers.BatchNormalization):
        rng = np.random.default_rng(2)
        layer.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in layer.weights])
    found, expected = gradients_of(network), by_the_map(front, back)
    assert np.abs(expected).max() > 1e-3
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("form", ["body", "head", "all", "twice"])
def test_models_within_the_model_are_laid_open(form: str) -> None:
    keras.utils.set_random_seed(5)
    front, back = body(), [layers.GlobalMaxPooling2D(), *dense()]
    plain = build([*front, *back])
    expected = gradients_of(plain)
    if form == "body":
        network = keras.Sequential([build([*front, back[0]]), *back[1:]])
    elif form == "head":
        inner = keras.Sequential([keras.Input((8,)), *back[1:]])
        network = build([*front, back[0], inner])
    elif form == "all":
        network = keras.Sequential([keras.Input(INPUTS.shape[1:]), plain])
    else:
        inner = keras.Sequential([keras.Input((8,)), *back[1:]])
        network = build([keras.Sequential([build(front)]), back[0], keras.Sequential([inner])])
    assert np.allclose(gradients_of(network), expected, rtol=0, atol=1e-6)


def test_those_of_all_classes_cancel_out() -> None:
    keras.utils.set_random_seed(5)
    found = gradients_of(build([*body(), layers.GlobalMaxPooling2D(), *dense()]))
    assert np.abs(found.sum(axis=1)).max() < HEAD_GRADIENTS * np.abs(found).max()


@pytest.mark.parametrize("place", ["last", "not last"])
def test_a_head_that_is_sure_still_has_numbers(place: str) -> None:
    """Its softmax is 1 for one class and 0 for the others, in float32."""
    last = layers.Dense(3, activation="softmax")
    rest = [] if place == "last" else [layers.Dropout(0.1)]
    network = build([*body(), layers.GlobalMaxPooling2D(), last, *rest])
    kernel = 1e4 * np.eye(8, 3)
    last.set_weights([kernel, np.array([1e4, 0, 0])])
    _, seen = look(network)
    assert set(np.unique(seen.probabilities)) == {0, 1}
    found = gradients_of(network)
    assert np.isfinite(found).all()
    if place == "last":
        centred = kernel - kernel.mean(axis=1, keepdims=True)
        assert np.abs(found - centred.T).max() < HEAD_GRADIENTS * np.abs(centred).max()


def test_the_networks_layers_are_left_as_they_are() -> None:
    network = build([*body(), layers.GlobalMaxPooling2D(), *dense()])
    before, activations = network(INPUTS), [getattr(x, "activation", 0) for x in network.layers]
    gradients_of(network)
    assert np.array_equal(network(INPUTS), before)
    assert [getattr(x, "activation", 0) for x in network.layers] == activations


def branches_in_the_head() -> Any:
    inputs = keras.Input(INPUTS.shape[1:])
    x = run([*body(), layers.GlobalMaxPooling2D()], inputs)
    x = layers.Concatenate()([layers.Dense(4)(x), x])
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def two_summaries() -> Any:
    inputs = keras.Input(INPUTS.shape[1:])
    x = run(body(), inputs)
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def a_summary_that_weighs() -> Any:
    return build([*body(), layers.Conv2D(8, (11, 9)), layers.Flatten(), *dense()])


def a_layer_that_is_not_known() -> Any:
    return build([*body(), layers.Flatten(), layers.LayerNormalization(name="odd"), *dense()])


def an_activation_that_is_not_known() -> Any:
    odd = layers.Dense(4, activation="log_softmax", name="odd")
    return build([*body(), layers.Flatten(), odd, *dense()])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(branches_in_the_head, "joins 2 branches", id="branches"),
        pytest.param(two_summaries, "joins 2 branches", id="two-summaries"),
        pytest.param(a_summary_that_weighs, "weighs the places", id="a-summary-that-weighs"),
        pytest.param(
            a_layer_that_is_not_known, "'odd' of its head is a LayerNormalization", id="a-layer"
        ),
        pytest.param(
            an_activation_that_is_not_known, "'odd' of its head .* log_softmax", id="an-activation"
        ),
    ],
)
def test_what_grad_cam_cannot_explain_is_said(make: Any, reason: str) -> None:
    exposed, seen = look(make())
    with pytest.raises(NotExplainable, match=reason):
        take_head(exposed, seen.pooled, seen.probabilities)


def test_branches_before_the_last_map_do_no_harm() -> None:
    inputs = keras.Input(INPUTS.shape[1:])
    x = run(body(), inputs)
    gate = run([layers.GlobalAveragePooling2D(), layers.Dense(8), layers.Reshape((1, 1, 8))], x)
    x = layers.Multiply()([layers.Add()([x, layers.Conv2D(8, 1)(x)]), gate])
    network = keras.Model(inputs, run([layers.GlobalAveragePooling2D(), *dense()], x))
    assert gradients_of(network).shape == (4, 3, 8)


def test_a_network_without_a_map_is_not_explained() -> None:
    exposed, seen = look(build([*body(), layers.GlobalMaxPooling2D(), *dense()]))
    with pytest.raises(NotExplainable, match="no layer makes a map into a vector"):
        take_head(exposed, None, seen.probabilities)


@pytest.mark.parametrize("shift", [0.1, np.nan])
def test_a_head_that_answers_otherwise_is_not_believed(shift: float) -> None:
    exposed, seen = look(build([*body(), layers.GlobalMaxPooling2D(), *dense()]))
    other = seen._replace(probabilities=seen.probabilities + np.float32(shift))
    with pytest.raises(NotExplainable, match="departs from the network"):
        take_head(exposed, other.pooled, other.probabilities)
