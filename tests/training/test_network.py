from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

from app.xray.errors import TrainingError
from tests.networks import build_tiny
from training.network import build_mobilenet

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
