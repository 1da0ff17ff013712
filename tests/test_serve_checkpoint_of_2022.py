"""A checkpoint as a notebook of 2022 saved it, served by a process that has no Keras 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tf_keras

from app.xray.contract import ModelContract
from app.xray.preprocess import preprocess
from app.xray.probes import TOLERANCE
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.live import served
from tests.networks import enliven

if TYPE_CHECKING:
    from pathlib import Path


def network_of_2022() -> Any:
    layers = tf_keras.layers
    backbone = tf_keras.applications.MobileNet(
        input_shape=(224, 224, 3), include_top=False, pooling="max", weights=None
    )
    x = layers.Dense(512, activation="relu")(backbone.output)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(512, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dense(16, activation="relu")(x)
    return tf_keras.Model(backbone.input, layers.Dense(3, activation="softmax")(x))


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return [encode(draw_radiograph(seed), "JPEG") for seed in range(3)]


@pytest.fixture(scope="module")
def expected(files: list[bytes], path: Path) -> np.ndarray:
    """Its predictions in 2022; the checkpoint is left at `path`."""
    inputs = np.stack([preprocess(data, ModelContract.recipe_of_2022()) for data in files])
    tf_keras.utils.set_random_seed(21)
    network = network_of_2022()
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    network.fit(inputs, np.eye(3), verbose=0)  # so that there is optimizer state to ignore
    enliven(network, inputs)
    with pytest.warns(UserWarning, match="You are saving your model as an HDF5 file"):
        network.save(path)
    found: np.ndarray = network.predict(inputs, batch_size=1, verbose=0)
    assert np.ptp(found, axis=0).max() > 0.01, "the network does not look at its input"
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook") / "best_model.h5"


@pytest.mark.parametrize(("engine", "tolerance"), [("tensorflow", 1e-5), ("litert", TOLERANCE)])
def test_its_own_predictions_come_over_http(
    engine: str, tolerance: float, files: list[bytes], expected: np.ndarray, path: Path
) -> None:
    with served(path, classes="SICK,WELL,OTHER", engine=engine) as client:
        for data, row in zip(files, expected, strict=True):
            found = client.post("/predict", content=data).json()["probabilities"]
            assert list(found) == ["SICK", "WELL", "OTHER"]
            assert list(found.values()) == pytest.approx(row.tolist(), abs=tolerance)
        model = client.get("/model").json()
        health = client.get("/health").json()
    assert model["engine"]["name"] == engine
    assert model["carries_contract"] is False
    assert model["calibrated"] is False
    assert health["model"]["calibrated"] is False
