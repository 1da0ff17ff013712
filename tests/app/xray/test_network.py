from __future__ import annotations

import json
import resource
import shutil
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from app.xray.contract import ModelContract
from app.xray.errors import CheckpointCorrupt, CheckpointRefused
from app.xray.network import build_network, expose_features
from tests.bounds import TINY_PROBABILITIES
from tests.networks import (
    build_tiny,
    model_inputs,
    predict,
    read_as_in_2022,
    write_tiny_checkpoint,
)

if TYPE_CHECKING:
    from pathlib import Path

KERAS_2 = pytest.param(tf_keras, id="keras-2")
KERAS_3 = pytest.param(keras, id="keras-3")


def save(network: Any, path: Path) -> np.ndarray:
    """Compile, train a step and save the whole model, as in 2022; give its own predictions."""
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    network.fit(model_inputs(), np.eye(3)[[0, 1, 2, 0]], verbose=0)
    network.save(path)
    predictions: np.ndarray = predict(network, model_inputs())
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
    loaded = build_network(read_as_in_2022(tmp_path / "old.h5"))
    assert np.abs(predict(loaded, model_inputs()) - expected).max() < TINY_PROBABILITIES

    exposed = predict(expose_features(loaded), model_inputs())
    assert np.abs(exposed["probabilities"] - expected).max() < TINY_PROBABILITIES
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
    loaded = build_network(read_as_in_2022(path))
    assert np.abs(predict(loaded, model_inputs()) - expected).max() < TINY_PROBABILITIES


def test_weights_that_do_not_fit_are_corrupt(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = shutil.copy(tiny_checkpoint, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        weights = file["model_weights"]
        del weights[next(name for name in weights if name.startswith("dense"))]
    with pytest.raises(
        CheckpointCorrupt,
        match=r"model\.h5: layer 'dense\w*', a Dense, takes weights of 8x3, 3, the file has none",
    ):
        read_as_in_2022(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({"class_name": "Functional"}, "KeyError 'config'", id="without-settings"),
        pytest.param(
            {"class_name": "Functional", "config": {}}, "KeyError 'layers'", id="without-layers"
        ),
        pytest.param(
            {"class_name": "Sequential", "config": {"layers": [1]}},
            "model_config is not one of a Keras model",
            id="of-numbers",
        ),
        pytest.param(
            {"class_name": "Sequential", "config": {"layers": []}},
            "describes a network without layers",
            id="of-no-layer",
        ),
    ],
)
def test_a_configuration_that_describes_no_network_is_corrupt(
    config: dict[str, Any], message: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    path = shutil.copy(tiny_checkpoint, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(CheckpointCorrupt, match=rf"model\.h5: .*{message}"):
        read_as_in_2022(path)


def hide_ends(keras: Any, network: Any) -> Any:
    """The same network, whose configuration does not say what it gives."""
    x = keras.layers.Reshape((network.output_shape[-1],))(network.output)
    return keras.Model(network.input, x)


@pytest.mark.parametrize("form", ["plain", "hidden"])
def test_fewer_classes_than_outputs_are_corrupt(form: str, tmp_path: Path) -> None:
    network = build_tiny(keras)
    network = hide_ends(keras, network) if form == "hidden" else network
    contract = ModelContract.recipe_of_2022(["A", "B"])
    path = write_tiny_checkpoint(tmp_path / "model.h5", contract, network=network)
    with pytest.raises(CheckpointCorrupt, match=r"gives \(None, 3\), the contract has 2 classes"):
        build_network(read_as_in_2022(path))


def test_a_network_whose_ends_are_not_declared_is_built_all_the_same(tmp_path: Path) -> None:
    network = hide_ends(keras, build_tiny(keras))
    path = write_tiny_checkpoint(tmp_path / "model.h5", network=network)
    assert build_network(read_as_in_2022(path)).output_shape == (None, 3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        pytest.param(
            lambda layers: [layers.Flatten(), layers.Dense(60_000), layers.Dense(3)],
            "weights would take",
            id="dense-behind-a-large-map",
        ),
        pytest.param(
            lambda layers: [
                layers.GlobalMaxPooling2D(),
                *(layers.Dense(60_000), layers.Dense(50_000), layers.Dense(3)),
            ],
            "weights would take",
            id="two-wide-layers",
        ),
        pytest.param(
            lambda layers: [layers.UpSampling2D(100), layers.GlobalMaxPooling2D(), layers.Dense(3)],
            "the output of one layer would take",
            id="large-map",
        ),
        pytest.param(
            lambda layers: [
                layers.SeparableConv2D(3, 1, depth_multiplier=60_000),
                layers.GlobalMaxPooling2D(),
            ],
            "the output of one layer would take",
            id="half-a-layer-that-shows-in-no-output",
        ),
        pytest.param(
            lambda layers: [layers.ZeroPadding2D(60_000), layers.GlobalMaxPooling2D()],
            "the output of one layer would take",
            id="wide-border",
        ),
    ],
)
def test_what_would_take_gigabytes_is_refused_before_it_takes_any(
    build: Any, message: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    layers = keras.layers
    with keras.StatelessScope(initialize_variables=False):
        config = keras.Sequential([keras.Input((224, 224, 3)), *build(layers)]).get_config()
    keras.utils.clear_session(free_memory=False)
    path = shutil.copy(tiny_checkpoint, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        text = json.dumps({"class_name": "Sequential", "config": config})
        del file.attrs["model_config"]
        file.attrs["model_config"] = text
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        CheckpointRefused, match=rf"model\.h5: up to layer '\w+', {message} more than [\d,]+ bytes"
    ):
        read_as_in_2022(path)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 200_000


def test_a_file_replaced_after_its_inspection_is_not_served_under_the_old_digest(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    path = shutil.copy(tiny_checkpoint, tmp_path / "model.h5")
    inspected = read_as_in_2022(path)
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
