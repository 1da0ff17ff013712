"""Networks as other people write and save them: each gives its own author's numbers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import absl.logging
import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from app.xray.checkpoint import inspect_checkpoint, read_checkpoint, write_contract
from app.xray.contract import ModelContract
from app.xray.errors import CheckpointRefused
from app.xray.graph.runtime import compile_graph, read_graph
from app.xray.network import build_network
from tests.graphs import graph_of
from tests.networks import predict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHAPE = (40, 32, 3)
CONTRACT = ModelContract(classes=("A", "B", "C"), input_size=(40, 32), resize="box", scale=1)
LIBRARIES = pytest.mark.parametrize(
    "library", [pytest.param(tf_keras, id="keras-2"), pytest.param(keras, id="keras-3")]
)
FORMATS = pytest.mark.parametrize("ending", ["h5", "keras"])
INPUTS = np.random.default_rng(1).random((3, *SHAPE), np.float32) * 255
ROUNDING = 2e-6
"""Seven times what was seen between two computations of these networks."""

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    yield
    absl.logging.set_verbosity(before)


def augmented(k: Any) -> Any:
    """A chain, as the tutorials have it: augmentation and scaling within, noise and dropout."""
    layers = k.layers
    return k.Sequential(
        [
            layers.Input(SHAPE),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.1),
            layers.Rescaling(1 / 255.0),
            layers.Conv2D(8, 3, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(moving_mean_initializer="random_uniform"),
            layers.GaussianNoise(0.1),
            layers.SpatialDropout2D(0.2),
            layers.MaxPooling2D(),
            layers.SeparableConv2D(6, 3, activation="swish"),
            layers.AlphaDropout(0.1),
            layers.Flatten(),
            layers.Dense(5, activation="hard_sigmoid"),
            layers.ActivityRegularization(0.1),
            layers.Dense(3, activation="softmax"),
        ]
    )


def attending(k: Any) -> Any:
    """CBAM and squeeze and excitation, written with operators, `preprocess_input` before them."""
    is_old = k is tf_keras

    def mean(x: Any, axis: Any, *, keepdims: bool) -> Any:
        function = tf.reduce_mean if is_old else keras.ops.mean
        return function(x, axis=axis, keepdims=keepdims)

    def largest(x: Any) -> Any:
        function = tf.reduce_max if is_old else keras.ops.max
        return function(x, axis=-1, keepdims=True)

    inputs = k.Input(SHAPE)
    x = inputs[:, :, :, ::-1] / 127.5 - 1.0
    x = k.layers.Conv2D(4, 3, activation="relu", name="block/conv" if is_old else "conv")(x)
    both = [mean(x, -1, keepdims=True), largest(x)]
    joined = tf.concat(both, axis=-1) if is_old else keras.ops.concatenate(both, axis=-1)
    x = x * k.layers.Conv2D(1, 7, padding="same", activation="sigmoid")(joined)
    x = 1.0 - (x * 0.5 + x)
    gate = k.layers.Reshape((1, 1, 4))(mean(x, [1, 2], keepdims=False))
    x = k.layers.multiply([x, gate])
    x = tf.nn.relu6(x) if is_old else keras.ops.relu6(x)
    return k.Model([inputs], [_head(k, mean(x, [1, 2], keepdims=False))])


def normalized(k: Any) -> Any:
    """Every normalization and resizing, and what upsamples."""
    layers = k.layers
    inputs = k.Input(SHAPE)
    adapted = layers.Normalization()
    adapted.adapt(INPUTS)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[4.0, 1.0, 2.0])(adapted(inputs))
    x = layers.Resizing(30, 20)(x)
    x = layers.Conv2D(8, 3, padding="same", strides=2)(x)
    x = layers.LayerNormalization(gamma_initializer="random_uniform")(x)
    x = layers.GroupNormalization(4, beta_initializer="random_uniform")(x)
    x = layers.ELU()(layers.LeakyReLU()(layers.PReLU(shared_axes=[1, 2])(x)))
    x = layers.Conv2DTranspose(5, 3, strides=2, padding="same")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.DepthwiseConv2D(3)(x)
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    return k.Model(inputs, _head(k, x))


def of_patches(k: Any) -> Any:
    """A transformer's block: multi-head attention over patches."""
    layers = k.layers
    inputs = k.Input(SHAPE)
    patches = layers.Reshape((-1, 8))(layers.Conv2D(8, 8, strides=8)(inputs / 255.0))
    x = layers.LayerNormalization()(patches)
    x = layers.Add()([patches, layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x)])
    return k.Model(inputs, _head(k, layers.GlobalAveragePooling1D()(x)))


def frozen_within(k: Any) -> Any:
    """Transfer learning: a part that is frozen, in a model of its own, called with training=False.

    A legacy file lists the weights that are trained before those that are not.
    """
    layers = k.layers
    inner = k.Input(SHAPE)
    x = layers.Conv2D(6, 3, name="c1")(inner)
    x = layers.BatchNormalization(moving_mean_initializer="random_uniform")(x)
    base = k.Model(inner, layers.Conv2D(6, 3, name="c2")(x), name="base")
    base.layers[1].trainable = False
    inputs = k.Input(SHAPE)
    x = base(k.Sequential([layers.RandomFlip()])(inputs / 255.0), training=False)
    return k.Model(inputs, _head(k, layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))))


def shared(k: Any) -> Any:
    """A layer and a model that are each called twice."""
    layers = k.layers
    inputs = k.Input(SHAPE)
    layer = layers.Conv2D(3, 3, padding="same")
    x = layer(layers.ReLU()(layer(inputs / 255.0)))
    model = k.Sequential([layers.Conv2D(3, 3, padding="same", activation="relu")])
    return k.Model(inputs, _head(k, layers.Flatten()(model(model(x)))))


def in_half_precision(k: Any) -> Any:
    """Under a mixed policy, which is none of the weights'."""
    layers = k.layers
    inputs = k.Input(SHAPE)
    x = layers.Rescaling(1 / 255.0)(inputs)
    x = layers.Conv2D(4, 3, dtype="mixed_float16")(x)
    x = layers.GlobalAveragePooling2D(dtype="float32")(x)
    return k.Model(inputs, layers.Dense(3, activation="softmax", dtype="float32")(x))


def _head(k: Any, x: Any) -> Any:
    return k.layers.Dense(3, activation="softmax")(x)


NETWORKS: dict[str, Callable[[Any], Any]] = {
    "augmented": augmented,
    "attending": attending,
    "normalized": normalized,
    "of-patches": of_patches,
    "frozen-within": frozen_within,
    "shared": shared,
}


def saved(library: Any, make: Callable[[Any], Any], path: Path) -> np.ndarray:
    """Save the network with a contract; gives its own predictions."""
    library.utils.set_random_seed(3)
    network = make(library)
    expected: np.ndarray = predict(network, INPUTS)
    assert np.ptp(expected, axis=0).max() > 1e-3, "the network does not look at its input"
    network.save(path)
    write_contract(path, CONTRACT, path)
    return expected


@LIBRARIES
@FORMATS
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_a_strangers_network_gives_his_own_numbers(
    make: Callable[[Any], Any], ending: str, library: Any, tmp_path: Path
) -> None:
    path = tmp_path / f"model.{ending}"
    expected = saved(library, make, path)
    found = predict(build_network(read_checkpoint(path)), INPUTS)
    assert np.abs(found - expected).max() < ROUNDING


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_openvino_gives_them_too(make: Callable[[Any], Any], tmp_path: Path) -> None:
    expected = saved(tf_keras, make, tmp_path / "model.h5")
    compiled = compile_graph(
        read_graph(graph_of(read_checkpoint(tmp_path / "model.h5"))), threads=None
    )
    found = np.concatenate([compiled(picture[None])["probabilities"] for picture in INPUTS])
    assert np.abs(found - expected).max() < 1e-5


@LIBRARIES
def test_weights_of_half_precision_layers_are_computed_in_float32(
    library: Any, tmp_path: Path
) -> None:
    library.utils.set_random_seed(3)
    network = in_half_precision(library)
    expected = predict(network, INPUTS)
    network.save(tmp_path / "model.h5")
    write_contract(tmp_path / "model.h5", CONTRACT, tmp_path / "model.h5")
    loaded = build_network(read_checkpoint(tmp_path / "model.h5"))
    assert np.abs(predict(loaded, INPUTS) - expected).max() < 2e-3  # float16's rounding
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}


def rewrite(path: Path, change: Callable[[Any], Any], version: str | None) -> None:
    """What an older Keras 2 would have written as the configuration."""
    with h5py.File(path, "r+") as file:
        config = change(json.loads(file.attrs["model_config"]))
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps(config)
        if version is None:
            del file.attrs["keras_version"]
        else:
            file.attrs["keras_version"] = version


def each_layer(change: Callable[[dict[str, Any]], None]) -> Callable[[Any], Any]:
    def apply(config: Any) -> Any:
        for layer in config["config"]["layers"]:
            for key in ("module", "registered_name", "build_config"):
                layer.pop(key, None)
            change(layer)
        return config

    return apply


def with_typed_initializers(layer: dict[str, Any]) -> None:
    for key, value in layer["config"].items():
        if key.endswith("_initializer") and value:
            layer["config"][key] = {
                "class_name": value["class_name"],
                "config": {**value["config"], "dtype": "float32"},
            }


def by_version_1_of_tensorflow(layer: dict[str, Any]) -> None:
    with_typed_initializers(layer)
    if layer["class_name"] == "BatchNormalization":
        layer["class_name"] = "BatchNormalizationV1"


def without_input_layer(config: Any) -> Any:
    """The shape stands with the first layer, its size open."""
    first, second, *rest = each_layer(with_typed_initializers)(config)["config"]["layers"]
    second["config"]["batch_input_shape"] = [
        None,
        None,
        None,
        first["config"]["batch_input_shape"][3],
    ]
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [second, *rest]}}


def as_a_list(config: Any) -> Any:
    return {"class_name": "Sequential", "config": without_input_layer(config)["config"]["layers"]}


def plain_chain(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            layers.Input(SHAPE),
            layers.Conv2D(6, 3, activation="relu"),
            layers.BatchNormalization(moving_mean_initializer="random_uniform"),
            layers.SpatialDropout2D(0.1),
            layers.DepthwiseConv2D(3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="hard_sigmoid"),
            layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.mark.parametrize(
    ("change", "version"),
    [
        pytest.param(each_layer(with_typed_initializers), "2.4.0", id="tensorflow-2.4"),
        pytest.param(each_layer(by_version_1_of_tensorflow), "2.2.4-tf", id="tensorflow-1.13"),
        pytest.param(without_input_layer, "2.3.1", id="sequential-without-input-layer"),
        pytest.param(as_a_list, "2.1.6", id="sequential-as-a-list"),
        pytest.param(as_a_list, None, id="without-a-version"),
    ],
)
def test_what_older_versions_wrote_is_read(
    change: Callable[[Any], Any], version: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "model.h5"
    expected = saved(tf_keras, plain_chain, path)
    rewrite(path, change, version)
    found = predict(build_network(read_checkpoint(path)), INPUTS)
    assert np.abs(found - expected).max() < ROUNDING


def test_a_size_that_the_file_leaves_open_is_the_contracts(tmp_path: Path) -> None:
    inputs = keras.Input((None, None, 1))
    x = keras.layers.GlobalMaxPooling2D()(keras.layers.Conv2D(3, 3)(inputs))
    keras.Model(inputs, _head(keras, x)).save(tmp_path / "model.keras")
    assert inspect_checkpoint(tmp_path / "model.keras").architecture.input_shape == (None, None, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda k, x: k.layers.Lambda(lambda x: x, name="odd")(x),
            "layer 'odd' is or holds a Lambda: .*Rescaling for a factor",
            id="lambda",
        ),
        pytest.param(
            lambda k, x: k.layers.Dropout(0.5)(x, training=True),
            r"called with training=True, so that its answers are drawn at random",
            id="monte-carlo-dropout",
        ),
        pytest.param(
            lambda _, x: tf.roll(x, 1, axis=1),
            r"layer 'tf\.roll\w*' is or holds a TFOpLambda of tf\.roll, which is not run here",
            id="a-function-of-tensorflow",
        ),
        pytest.param(
            lambda k, x: k.layers.RandomCrop(20, 20)(x),
            "is or holds a RandomCrop: it crops when it infers too",
            id="crop-at-inference",
        ),
        pytest.param(
            lambda k, x: k.layers.TimeDistributed(k.layers.Dense(2))(x),
            "is or holds a TimeDistributed: only Keras' own layers for images",
            id="wrapper",
        ),
    ],
)
def test_what_cannot_be_served_right_is_refused_with_what_to_do(
    make: Callable[[Any, Any], Any], message: str, tmp_path: Path
) -> None:
    inputs = tf_keras.Input(SHAPE)
    x = tf_keras.layers.Flatten()(make(tf_keras, inputs))
    tf_keras.Model(inputs, _head(tf_keras, x)).save(tmp_path / "model.h5")
    with pytest.raises(CheckpointRefused, match=message) as caught:
        inspect_checkpoint(tmp_path / "model.h5")
    assert "\n" not in str(caught.value)
