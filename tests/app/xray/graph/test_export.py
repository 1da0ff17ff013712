from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from keras import layers

from app.xray.checkpoint import read_checkpoint
from app.xray.contract import ModelContract
from app.xray.errors import CheckpointCorrupt, EngineError
from app.xray.graph.cut import cut_before
from app.xray.graph.graph import OUTPUTS
from app.xray.graph.runtime import compile_graph, read_graph
from app.xray.preprocess import rescale
from tests.graphs import graph_by_a_backend_without_relu, graph_of
from tests.networks import write_tiny_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from app.xray.graph.graph import Graph

CONTRACT = ModelContract(classes=("A", "B", "C"), input_size=(40, 32), resize="box", scale=1 / 255)


def head(x: Any) -> Any:
    return layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling2D()(x))


def network_with(make: Callable[[Any], Any]) -> Any:
    """A network whose map of 8 channels goes through what `make` gives."""
    inputs = keras.Input((40, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(inputs)
    return keras.Model(inputs, head(make(x)))


def squeezed(x: Any) -> Any:
    """Squeeze and excitation (Hu et al. 2018)."""
    gate = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="relu")(gate))
    return layers.Multiply()([x, gate])


def nested(x: Any) -> Any:
    inner = keras.Input(x.shape[1:])
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(inner)
    model = keras.Model(inner, layers.Add()([inner, y]), name="inner")
    return model(model(x))


def shared(x: Any) -> Any:
    layer = layers.Conv2D(8, 3, padding="same")
    return layer(layers.ReLU()(layer(x)))


KINDS: dict[str, Callable[[Any], Any]] = {
    "convolution, padded and cropped": lambda x: layers.Cropping2D(((1, 0), (0, 2)))(
        layers.Conv2D(6, 5, strides=(2, 1), dilation_rate=1)(layers.ZeroPadding2D(((1, 2), 3))(x))
    ),
    "depthwise, with a multiplier": lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2)(x),
    "separable": lambda x: layers.SeparableConv2D(12, 3, padding="same")(x),
    "grouped": lambda x: layers.Conv2D(12, 3, groups=2)(x),
    "batch normalization": lambda x: layers.BatchNormalization()(x),
    "layer normalization": lambda x: layers.LayerNormalization()(x),
    "PReLU": lambda x: layers.PReLU(alpha_initializer="random_uniform")(x),
    "pooling": lambda x: layers.Add()(
        [layers.MaxPooling2D(3, 1, "same")(x), layers.AveragePooling2D(3, 1, "same")(x)]
    ),
    "upsampling": lambda x: layers.UpSampling2D((2, 3))(x),
    "concatenation of channels": lambda x: layers.Concatenate()([x, layers.ReLU()(x)]),
    "concatenation of rows": lambda x: layers.Concatenate(axis=1)([x, layers.ReLU()(x)]),
    "softmax of channels": lambda x: layers.Softmax()(x),
    "softmax of rows": lambda x: layers.Softmax(axis=1)(x),
    "an activation over channels": lambda x: layers.Activation("softmax")(x),
    "dense on a map": lambda x: layers.Dense(5)(x),
    "reshape": lambda x: layers.Reshape((10, 32, 8))(x),
    "permute": lambda x: layers.Permute((3, 1, 2))(x),
    "rescaling by channel": lambda x: layers.Rescaling([0.5] * 4 + [2.0] * 4)(x),
    "squeeze and excitation": squeezed,
    "models within": nested,
    "a layer called twice": shared,
}
HEADS: dict[str, Callable[[Any], Any]] = {
    "flattened": lambda x: layers.Dense(3, activation="softmax")(layers.Flatten()(x)),
    "a mean that keeps its places": lambda x: layers.Activation("softmax")(
        layers.Reshape((3,))(layers.Conv2D(3, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x)))
    ),
}


def exported(network: Any, folder: Path) -> tuple[Graph, dict[str, np.ndarray], np.ndarray]:
    """Its graph, what that gives for pictures, and what Keras gave for them."""
    for weight in network.weights:
        if "moving" in weight.path or "gamma" in weight.path:
            rng = np.random.default_rng(len(weight.path))
            weight.assign(rng.uniform(0.5, 1.5, weight.shape).astype(np.float32))
    path = write_tiny_checkpoint(folder / "model.h5", CONTRACT, network=network)
    graph = graph_of(read_checkpoint(path))
    rng = np.random.default_rng(0)
    inputs = rescale(rng.integers(0, 256, (3, 40, 32, 3), dtype=np.uint8), CONTRACT)
    compiled = compile_graph(read_graph(graph), threads=None)
    rows = [compiled(picture[None]) for picture in inputs]
    names = [name for name in OUTPUTS if name in {n for o in compiled.outputs for n in o.names}]
    found = {name: np.concatenate([row[name] for row in rows]) for name in names}
    return graph, found, network.predict(inputs, verbose=0)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_layers_keep_their_meaning_with_channels_first(
    make: Callable[[Any], Any], tmp_path: Path
) -> None:
    keras.utils.set_random_seed(1)
    graph, found, expected = exported(network_with(make), tmp_path)
    assert (graph.layout, graph.layout_reason) == ("channels first", None)
    assert np.abs(found["probabilities"] - expected).max() < 1e-5
    assert np.ptp(expected, axis=0).max() > 1e-4
    assert found["feature_map"].ndim == 4


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
def test_heads_keep_the_order_of_the_map(make: Callable[[Any], Any], tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((40, 32, 3))
    x = layers.Conv2D(8, 3, strides=4)(inputs)
    graph, found, expected = exported(keras.Model(inputs, make(x)), tmp_path)
    assert graph.layout == "channels first"
    assert graph.head is not None
    assert np.abs(found["probabilities"] - expected).max() < 1e-5
    assert np.abs(graph.head.probabilities(found["pooled"]) - expected).max() < 1e-5


def test_a_cut_gives_the_same_answers_and_branches_are_not_cut(tmp_path: Path) -> None:
    def two_branches(x: Any) -> Any:
        branch = layers.Conv2D(8, 3, padding="same", name="branch")(x)
        branch = layers.Conv2D(8, 3, padding="same", name="passed_by")(branch)
        x = layers.Add()([x, branch])
        return layers.Conv2D(4, 3, name="after")(x)

    graph, _, _ = exported(network_with(two_branches), tmp_path)
    assert graph.layers[1:] == ("branch", "passed_by", "after")
    with pytest.raises(EngineError, match="other layers pass layer 'passed_by' by"):
        cut_before(graph, "passed_by")
    with pytest.raises(EngineError, match="cannot be cut before a layer 'nowhere'"):
        cut_before(graph, "nowhere")
    picture = np.random.default_rng(0).random((1, 40, 32, 3), dtype=np.float32)
    expected = compile_graph(read_graph(graph), threads=None)(picture)["probabilities"]
    for layer in (graph.layers[0], "branch", "after"):
        front, back = (compile_graph(model, threads=None) for model in cut_before(graph, layer))
        assert np.abs(back(front(picture)[0])["probabilities"] - expected).max() < 1e-6


def test_what_the_backend_lacks_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer that the door lets in, and Keras cannot trace."""
    network = network_with(lambda x: layers.ReLU(name="culprit")(x))
    path = write_tiny_checkpoint(tmp_path / "model.h5", CONTRACT, network=network)
    with pytest.raises(EngineError) as caught:
        graph_by_a_backend_without_relu(read_checkpoint(path))
    assert "'culprit'" in str(caught.value)
    assert "CXR_ENGINE=tensorflow" in str(caught.value)
    assert "make install USE=tensorflow" in str(caught.value)


def test_a_network_without_a_softmax_is_refused(tmp_path: Path) -> None:
    inputs = keras.Input((40, 32, 3))
    outputs = layers.Dense(3)(layers.GlobalMaxPooling2D()(inputs))
    path = write_tiny_checkpoint(
        tmp_path / "model.h5", CONTRACT, network=keras.Model(inputs, outputs)
    )
    with pytest.raises(CheckpointCorrupt, match="says that it ends in softmax"):
        graph_of(read_checkpoint(path))
