"""Networks that end in something else than a softmax, and take something else than color."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from app.inference.engines.openvino import OpenVINOEngine
from app.inference.engines.tensorflow import TensorFlowEngine
from app.xray.checkpoint import read_checkpoint
from app.xray.contract import ModelContract
from app.xray.errors import CheckpointCorrupt
from app.xray.graph.plan import F32
from tests.graphs import graph_of
from tests.networks import write_tiny_checkpoint
from training.network.runner import Runner

if TYPE_CHECKING:
    from pathlib import Path

    from app.xray.checkpoint import Checkpoint
    from app.xray.contract.outputs import Output

SIDE = 24
ENDS: dict[str, tuple[Output, int, str, str]] = {
    "softmax": ("softmax", 3, "softmax", "ABC"),
    "one-sigmoid": ("sigmoid-one", 1, "sigmoid", "AB"),
    "a-sigmoid-each": ("sigmoid", 4, "sigmoid", "ABCD"),
    "logits": ("logits", 3, "linear", "ABC"),
    "one-logit": ("logits", 1, "linear", "AB"),
}


def build(units: int, end: str, channels: int) -> Any:
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, channels))
    x = layers.Conv2D(6, 3, activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(units, activation=end)(x))


@pytest.fixture(params=ENDS.values(), ids=ENDS.keys(), scope="module")
def ending(request: pytest.FixtureRequest) -> tuple[Output, int, str, str]:
    found: tuple[Output, int, str, str] = request.param
    return found


@pytest.fixture(params=["gray", "bgr"], scope="module")
def checkpoint(
    request: pytest.FixtureRequest,
    ending: tuple[Output, int, str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Checkpoint:
    output, units, end, classes = ending
    contract = ModelContract(
        classes=tuple(classes),
        input_size=(SIDE, SIDE),
        channels=request.param,
        resize="bilinear-opencv",
        scale=1 / 255,
        output=output,
    )
    keras.utils.set_random_seed(3)
    network = build(units, end, contract.input_shape[2])
    path = tmp_path_factory.mktemp("ends") / "model.h5"
    return read_checkpoint(write_tiny_checkpoint(path, contract, network=network))


def network_of(checkpoint: Checkpoint) -> Any:
    return keras.models.load_model(checkpoint.path, compile=False)


def inputs_of(checkpoint: Checkpoint) -> np.ndarray:
    shape = (5, *checkpoint.contract.input_shape)
    return np.random.default_rng(0).random(shape, dtype=np.float32) * 4


def expected_of(checkpoint: Checkpoint, numbers: np.ndarray) -> np.ndarray:
    """The probabilities in what Keras' own network gives, by the textbook."""
    if checkpoint.contract.output == "sigmoid-one":
        return np.concatenate([1 - numbers, numbers], axis=1)
    if checkpoint.contract.output == "logits" and numbers.shape[1] == 1:
        return np.concatenate([1 / (1 + np.exp(numbers)), 1 / (1 + np.exp(-numbers))], axis=1)
    if checkpoint.contract.output == "logits":
        return np.exp(numbers) / np.exp(numbers).sum(axis=1, keepdims=True)
    return numbers


def test_both_engines_and_training_give_the_probabilities_of_the_classes(
    checkpoint: Checkpoint,
) -> None:
    inputs = inputs_of(checkpoint)
    network = network_of(checkpoint)
    expected = expected_of(checkpoint, network.predict(inputs, verbose=0))
    assert np.ptp(expected, axis=0).max() > 1e-3, "the network does not look at its input"
    openvino = OpenVINOEngine(graph_of(checkpoint), F32, threads=1)
    tensorflow = TensorFlowEngine(checkpoint, device="cpu")
    for engine in (openvino, tensorflow):
        found = engine.predict(inputs).probabilities
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() < 1e-5
    pixels = np.random.default_rng(1).integers(0, 256, inputs.shape, dtype=np.uint8)
    raw = Runner(network, checkpoint.contract).run(pixels).raw
    again = expected_of(checkpoint, network.predict(pixels * np.float32(1 / 255), verbose=0))
    assert np.abs(raw - again).max() < 1e-5


def test_its_heat_is_led_back_from_the_logit_of_each_class(checkpoint: Checkpoint) -> None:
    inputs = inputs_of(checkpoint)
    engine = OpenVINOEngine(graph_of(checkpoint), F32, threads=1)
    seen = engine.predict(inputs, with_features=True)
    assert seen.pooled is not None
    last = network_of(checkpoint).layers[-1]
    pooled = tf.constant(seen.pooled, tf.float64)
    kernel, bias = (tf.constant(weight, tf.float64) for weight in last.get_weights())
    with tf.GradientTape() as tape:
        tape.watch(pooled)
        numbers = pooled @ kernel + bias
        if len(checkpoint.contract.classes) == 2:
            numbers = tf.concat([tf.zeros_like(numbers), numbers], 1)
        if not checkpoint.contract.multi_label:
            numbers -= tf.reduce_mean(numbers, axis=1, keepdims=True)
    expected = np.asarray(tape.batch_jacobian(numbers, pooled))
    found = engine.gradients(seen.pooled)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-6


def test_a_contract_that_says_another_end_is_refused(tmp_path: Path) -> None:
    contract = ModelContract(
        classes=("A", "B", "C"), input_size=(SIDE, SIDE), channels="gray", resize="box", scale=1.0
    )
    path = write_tiny_checkpoint(tmp_path / "m.h5", contract, network=build(3, "sigmoid", 1))
    with pytest.raises(CheckpointCorrupt, match="its contract says that it ends in softmax"):
        graph_of(read_checkpoint(path))
