"""Small networks for tests that are not about MobileNet, and checkpoints as others wrote them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from app.xray.checkpoint import read_checkpoint
from app.xray.contract import DEFAULT_CLASSES, ModelContract, parse_input
from app.xray.gate import FeatureGate, PackedArray

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from app.xray.checkpoint import Checkpoint


AS_IN_2022 = parse_input("size=224 channels=rgb scale=1/255 resize=nearest output=softmax")


def read_as_in_2022(path: Path, classes: Sequence[str] = DEFAULT_CLASSES) -> Checkpoint:
    """The checkpoint at `path`; where it carries no contract, as if 2022's had been said."""
    return read_checkpoint(path, classes=classes, said=AS_IN_2022)


def build_tiny(keras: Any, classes: int = 3) -> Any:
    """A network with the layers that Keras 2 and 3 write differently; `keras` may be tf_keras.

    Its convolution has the name of one of MobileNet's, which recipes speak of.
    """
    layers = keras.layers
    inputs = keras.Input((224, 224, 3))
    x = layers.AveragePooling2D(16)(inputs)
    x = layers.Conv2D(8, 3, use_bias=False, name="conv_pw_1")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(6.0)(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.GlobalMaxPooling2D()(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def tiny_gate(*, threshold: float, mean: float = 0.0) -> FeatureGate:
    """A gate for the tiny network: how far two summaries of each of 8 channels are from `mean`."""
    size = 16
    return FeatureGate(
        mean=PackedArray.pack(np.full(size, mean)),
        scale=PackedArray.pack(np.ones(size)),
        axes=PackedArray.pack(np.eye(size)[:1]),
        variances=PackedArray.pack(np.ones(1)),
        rest=1.0,
        threshold=threshold,
        refused_on_val=0.01,
    )


def build_branched(keras: Any) -> Any:
    """A network with two summaries of its last map, which Grad-CAM does not explain."""
    layers = keras.layers
    inputs = keras.Input((224, 224, 3))
    x = layers.Conv2D(4, 3, strides=16, activation="relu")(inputs)
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def write_tiny_checkpoint(
    path: Path, contract: ModelContract | None = None, *, network: Any = None
) -> Path:
    """A checkpoint of `network`, the tiny one unless told, exported as training does."""
    import keras

    from training.network.export import export_checkpoint

    keras.utils.set_random_seed(7)
    export_checkpoint(
        network or build_tiny(keras), contract or ModelContract.recipe_of_2022(), path
    )
    return path


def model_inputs(count: int = 4) -> np.ndarray:
    """Random model inputs, float32 (count, 224, 224, 3), 0 to 1, each brighter than the last."""
    grain = np.random.default_rng(0).random((count, 224, 224, 3), dtype=np.float32)
    return grain * np.linspace(0.1, 1, count, dtype=np.float32)[:, None, None, None]


def predict(network: Any, inputs: np.ndarray, **options: Any) -> Any:
    """What `network`, of either Keras, gives for `inputs`; `options` are its `predict`'s.

    It is run layer by layer: the graph that it would be traced to costs more than it does.
    """
    network.run_eagerly = True
    return network.predict(inputs, verbose=0, **options)


def enliven(network: Any, inputs: np.ndarray) -> None:
    """Give batch normalization the statistics of `inputs`.

    In a network drawn at random what they start with lets the signal die on its way through
    MobileNet: every picture would get the same answer, and a test would compare a constant.
    """
    layers = [layer for layer in network.layers if type(layer).__name__ == "BatchNormalization"]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    network(inputs, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def network_of_2022(keras: Any) -> Any:
    """MobileNet under the head that a notebook of 2022 gave it, drawn at random."""
    layers = keras.layers
    backbone = keras.applications.MobileNet(
        input_shape=(224, 224, 3), include_top=False, pooling="max", weights=None
    )
    x = layers.Dense(512, activation="relu")(backbone.output)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(512, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dense(16, activation="relu")(x)
    return keras.Model(backbone.input, layers.Dense(3, activation="softmax")(x))


def write_notebook_checkpoint(path: Path, inputs: np.ndarray, seed: int = 21) -> Any:
    """The network of 2022, trained for a step on three `inputs` and saved as the notebook did.

    The network itself, of Keras 2, comes back.
    """
    import tf_keras

    tf_keras.utils.set_random_seed(seed)
    network = network_of_2022(tf_keras)
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    network.fit(inputs, np.eye(3), verbose=0)  # so that there is optimizer state to ignore
    enliven(network, inputs)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file")
        network.save(path)
    return network


def teach(network: Any, pixels: np.ndarray, labels: np.ndarray) -> Any:
    """Give the last layer of `network` weights that tell these pictures apart; gives `network`.

    `pixels` uint8 (n, 224, 224, 3). A network drawn at random guesses, and there are things that
    are not done for one that does.
    """
    import keras
    from sklearn.linear_model import LogisticRegression

    enliven(network, pixels.astype(np.float32) / 255)
    body = keras.Model(network.input, network.layers[-1].input)
    features = body.predict(pixels.astype(np.float32) / 255, verbose=0)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    found = LogisticRegression(C=10.0, max_iter=5000).fit((features - mean) / scale, labels)
    kernel = (found.coef_ / scale).T
    network.layers[-1].set_weights([kernel, found.intercept_ - mean @ kernel])
    return network


def write_taught_checkpoint(path: Path, data: Path, contract: ModelContract | None = None) -> Path:
    """A checkpoint of the tiny network that tells the pictures of `data/train` apart."""
    import keras

    from training.data.dataset import load_dataset

    contract = contract or ModelContract.recipe_of_2022()
    known = load_dataset(data, contract, splits=["train"]).splits["train"]
    keras.utils.set_random_seed(7)
    network = teach(build_tiny(keras), known.pixels, known.labels)
    return write_tiny_checkpoint(path, contract, network=network)
