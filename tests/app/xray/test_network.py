from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from app.xray.checkpoint import read_checkpoint
from app.xray.contract import ModelContract
from app.xray.errors import CheckpointCorrupt
from app.xray.network import build_network, expose_features
from tests.networks import build_tiny, model_inputs, write_tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

KERAS_2 = pytest.param(tf_keras, id="keras-2")
KERAS_3 = pytest.param(keras, id="keras-3")


def save(network: Any, path: Path) -> np.ndarray:
    """Compile, train a step and save the whole model, as in 2022; give its own predictions."""
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    network.fit(model_inputs(), np.eye(3)[[0, 1, 2, 0]], verbose=0)
    network.save(path)
    predictions: np.ndarray = network.predict(model_inputs(), verbose=0)
    assert np.ptp(predictions, axis=0).max() > 1e-3, "the network does not look at its input"
    return predictions


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
@pytest.mark.parametrize("library", [KERAS_2, KERAS_3])
@pytest.mark.parametrize(
    "form",
    [
        "functional",
        "sequential",
        "nested alone",
        "nested in a sequential",
        "nested in a functional",
        "sequential in a functional",
        "nested at the end",
    ],
)
def test_a_whole_model_with_optimizer_state_gives_its_own_predictions(
    library: Any, form: str, tmp_path: Path
) -> None:
    library.utils.set_random_seed(7)
    network = build_tiny(library)
    dense = library.layers.Dense(3, activation="softmax")
    body = library.Model(network.input, network.layers[-2].output)
    if form == "sequential":
        network = library.Sequential(network.layers)
    elif form == "nested alone":
        network = library.Sequential([network])
    elif form == "nested in a sequential":
        network = library.Sequential([body, library.layers.Dropout(0.5), dense])
    elif form == "nested in a functional":
        inputs = library.Input((224, 224, 3))
        network = library.Model(inputs, dense(body(library.layers.ReLU()(inputs))))
    elif form == "sequential in a functional":
        inputs = library.Input((224, 224, 3))
        network = library.Model(inputs, dense(library.Sequential(body.layers)(inputs)))
    elif form == "nested at the end":
        inputs = library.Input((224, 224, 3))
        network = library.Model(inputs, network(library.layers.ReLU()(inputs)))
    expected = save(network, tmp_path / "old.h5")
    loaded = build_network(read_checkpoint(tmp_path / "old.h5"))
    assert np.abs(loaded.predict(model_inputs(), verbose=0) - expected).max() < 1e-6

    exposed = expose_features(loaded).predict(model_inputs(), verbose=0)
    assert np.abs(exposed["probabilities"] - expected).max() < 1e-6
    assert exposed["feature_map"].shape == (4, 12, 12, 8)
    assert np.array_equal(exposed["pooled"], exposed["feature_map"].max(axis=(1, 2)))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
def test_configurations_from_before_modules_were_named_are_read(tmp_path: Path) -> None:
    """Until TensorFlow 2.11 a layer's configuration held neither module nor registered name."""

    def strip(item: object) -> object:
        if isinstance(item, dict):
            newer = {"module", "registered_name", "build_config"}
            return {key: strip(value) for key, value in item.items() if key not in newer}
        return [strip(value) for value in item] if isinstance(item, list) else item

    path = tmp_path / "old.h5"
    tf_keras.utils.set_random_seed(7)
    expected = save(build_tiny(tf_keras), path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(strip(json.loads(file.attrs["model_config"])))
    loaded = build_network(read_checkpoint(path))
    assert np.abs(loaded.predict(model_inputs(), verbose=0) - expected).max() < 1e-6


def test_weights_that_do_not_fit_are_corrupt(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = shutil.copy(tiny_checkpoint, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        weights = file["model_weights"]
        del weights[next(iter(weights))]
    with pytest.raises(CheckpointCorrupt, match=r"model\.h5: Keras cannot rebuild the model"):
        build_network(read_checkpoint(path))


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"class_name": "Functional"}, id="without-settings"),
        pytest.param({"class_name": "Functional", "config": {}}, id="without-layers"),
        pytest.param({"class_name": "Sequential", "config": {"layers": [1]}}, id="of-numbers"),
        pytest.param({"class_name": "Sequential", "config": {"layers": []}}, id="of-no-layer"),
    ],
)
def test_a_configuration_that_describes_no_network_is_corrupt(
    config: dict[str, Any], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    path = shutil.copy(tiny_checkpoint, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(CheckpointCorrupt, match=r"model\.h5: Keras cannot rebuild the model"):
        build_network(read_checkpoint(path))


def test_fewer_classes_than_outputs_are_corrupt(tmp_path: Path) -> None:
    contract = ModelContract.recipe_of_2022(["A", "B"])
    path = write_tiny_checkpoint(tmp_path / "model.h5", contract)
    with pytest.raises(CheckpointCorrupt, match=r"\(None, 3\), the contract has 2 classes"):
        build_network(read_checkpoint(path))


def test_without_a_contract_the_remedy_for_that_is_named(tmp_path: Path) -> None:
    path = write_tiny_checkpoint(tmp_path / "model.h5", network=build_tiny(keras, classes=4))
    with h5py.File(path, "r+") as file:
        del file.attrs["cxr_contract"]
    with pytest.raises(CheckpointCorrupt, match="CXR_CLASSES names the service"):
        build_network(read_checkpoint(path))


def test_another_input_size_than_the_contracts_is_corrupt(
    tmp_path: Path, contract: ModelContract
) -> None:
    other = contract.model_copy(update={"input_size": (299, 299)})
    path = write_tiny_checkpoint(tmp_path / "model.h5", other)
    with pytest.raises(CheckpointCorrupt, match=r"takes \(None, 224, 224, 3\)"):
        build_network(read_checkpoint(path))


def test_a_file_replaced_after_its_inspection_is_not_served_under_the_old_digest(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    path = shutil.copy(tiny_checkpoint, tmp_path / "model.h5")
    inspected = read_checkpoint(path)
    with h5py.File(path, "r+") as file:
        file.attrs["note"] = "replaced"
    with pytest.raises(CheckpointCorrupt, match="changed while it was read"):
        build_network(inspected)


def test_a_network_with_a_layer_of_its_own_called_flatten_is_laid_open() -> None:
    layers = keras.layers
    inputs = keras.Input((224, 224, 3))
    x = layers.AveragePooling2D(56)(layers.Conv2D(4, 1)(inputs))
    x = layers.Flatten(name="flatten")(x)
    network = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    exposed = expose_features(network)(model_inputs(2))
    assert exposed["feature_map"].shape == (2, 4, 4, 4)
    assert exposed["pooled"].shape == (2, 64)
