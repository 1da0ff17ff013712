from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

from app.xray.errors import TrainingError
from tests.bounds import MOBILENET_PROBABILITIES
from tests.networks import build_tiny, predict
from training.network.mobilenet import (
    build_mobilenet,
    freeze,
    in_float32,
    is_below_head,
    split_head,
)

if TYPE_CHECKING:
    from pathlib import Path


def count(weights: list[keras.Variable]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


def test_the_network_of_2022_has_its_parameters() -> None:
    network = build_mobilenet(3, weights="none")
    without_head = keras.Model(network.input, network.layers[-7].output)
    assert without_head.count_params() == 3_228_864
    assert network.count_params() == 4_026_627
    assert count(network.trainable_weights) == 4_003_715
    assert [type(layer).__name__ for layer in network.layers[-7:]] == [
        "GlobalMaxPooling2D",
        "Dense",
        "Dropout",
        "Dense",
        "BatchNormalization",
        "Dense",
        "Dense",
    ]
    assert [layer.units for layer in network.layers if isinstance(layer, keras.layers.Dense)] == [
        512,
        512,
        16,
        3,
    ]


def test_weights_from_a_file_are_the_networks_own(tmp_path: Path) -> None:
    backbone = keras.applications.MobileNet(
        input_shape=(224, 224, 3), include_top=False, pooling="max", weights=None
    )
    backbone.save_weights(tmp_path / "backbone.weights.h5")
    network = build_mobilenet(3, weights=tmp_path / "backbone.weights.h5")
    for name in ("conv1", "conv_pw_13"):
        expected = backbone.get_layer(name).get_weights()
        assert np.array_equal(network.get_layer(name).get_weights()[0], expected[0])


def test_weights_of_another_network_are_refused_by_path(tmp_path: Path) -> None:
    path = tmp_path / "tiny.weights.h5"
    build_tiny(keras).save_weights(path)
    with pytest.raises(TrainingError, match=r"tiny\.weights\.h5: expected MobileNet's weights"):
        build_mobilenet(3, weights=path)


def test_a_missing_file_of_weights_is_refused_by_path(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere\.h5: expected MobileNet's weights"):
        build_mobilenet(3, weights=tmp_path / "nowhere.h5")


def test_the_real_imagenet_weights_fit(shared: Path) -> None:
    (path,) = (shared / "weights").glob("*.h5")
    assert build_mobilenet(3, weights=path).count_params() == 4_026_627


def test_below_the_head_and_the_head_make_together_what_the_network_makes() -> None:
    keras.utils.set_random_seed(7)
    network = build_mobilenet(3, weights="none")
    below, head = split_head(network)
    assert below.count_params() == 3_228_864
    pictures = np.random.default_rng(0).random((2, 224, 224, 3), dtype=np.float32)
    features = predict(below, pictures)
    assert features.shape == (2, 1024)
    expected = predict(network, pictures)
    assert predict(head, features) == pytest.approx(expected, abs=MOBILENET_PROBABILITIES)
    of_head = [weight for weight in network.weights if not is_below_head(network, weight)]
    assert count(of_head) == 4_026_627 - 3_228_864


@pytest.mark.parametrize(
    ("blocks", "statistics", "first", "trainable"),
    [
        pytest.param(0, False, "conv1/kernel", 4_003_715, id="nothing"),
        pytest.param(0, True, "conv1/kernel", 4_003_715 - 21_888, id="normalization"),
        pytest.param(6, False, "conv_dw_7/kernel", None, id="six blocks"),
        pytest.param(13, True, "dense/kernel", 797_763 - 1024, id="all below the head"),
    ],
)
def test_what_is_frozen_is_not_trained(
    blocks: int, statistics: bool, first: str, trainable: int | None
) -> None:
    keras.backend.clear_session()
    network = build_mobilenet(3, weights="none")
    freeze(network, blocks, statistics=statistics)
    assert network.trainable_variables[0].path == first
    if trainable is not None:
        assert count(network.trainable_variables) == trainable


def test_a_network_of_another_precision_has_the_same_weights_and_answers_in_float32() -> None:
    keras.utils.set_random_seed(7)
    network = build_mobilenet(3, weights="none", precision="mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    assert network.layers[1].compute_dtype == "bfloat16"
    assert network.output.dtype == "float32"
    twin = in_float32(network)
    assert {layer.compute_dtype for layer in twin.layers} == {"float32"}
    twin.set_weights(network.get_weights())
    assert in_float32(twin) is twin
    pictures = np.random.default_rng(0).random((1, 224, 224, 3), dtype=np.float32)
    expected = predict(network, pictures)
    assert predict(twin, pictures) == pytest.approx(expected, abs=0.02)
