from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from keras import layers

from app.xray.errors import TrainingError
from training.network.bf16_weights import keep_sums, round_weights, some_inputs, to_bf16

if TYPE_CHECKING:
    from app.xray.contract import ModelContract

INPUTS = np.random.default_rng(3).random((5, 16, 16, 3), np.float32)


def build(*, scale: bool = True, center: bool = True, bias: bool = False) -> Any:
    """Blocks as MobileNet has them, with statistics that are no round numbers."""
    keras.utils.set_random_seed(5)

    def normalization(name: str) -> Any:
        return layers.BatchNormalization(scale=scale, center=center, name=name)

    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, strides=2, use_bias=bias, name="conv1")(x)
    x = layers.ReLU(6.0)(normalization("conv1_bn")(x))
    x = layers.DepthwiseConv2D(3, use_bias=bias, depth_multiplier=2, name="conv_dw_1")(x)
    x = layers.ReLU(6.0)(normalization("conv_dw_1_bn")(x))
    x = layers.Conv2D(7, 1, use_bias=bias, name="conv_pw_1")(x)
    x = layers.ReLU(6.0)(normalization("conv_pw_1_bn")(x))
    x = layers.Conv2D(4, 1, activation="relu", name="plain")(x)
    x = layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling2D()(x))
    network = keras.Model(inputs, x)
    rng = np.random.default_rng(8)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.3, 2, w.shape) for w in layer.get_weights()])
        elif bias and layer.get_weights():
            layer.set_weights([w + rng.normal(0, 0.1, w.shape) for w in layer.get_weights()])
    return network


def means_of(network: Any, name: str) -> Any:
    part = keras.Model(network.input, network.get_layer(name).output)
    return keras.ops.convert_to_numpy(part(INPUTS)).mean(axis=(0, 1, 2))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="as-mobilenet-has-it"),
        pytest.param({"scale": False}, id="no-gain"),
        pytest.param({"center": False}, id="no-offset"),
        pytest.param({"bias": True}, id="convolutions-with-bias"),
    ],
)
def test_every_weight_behind_the_layer_is_a_bf16_number_and_answers_hardly_move(
    options: dict[str, bool],
) -> None:
    network = build(**options)
    names = ("conv1_bn", "conv_dw_1_bn", "conv_pw_1_bn")
    before, means = network.predict_on_batch(INPUTS), [means_of(network, name) for name in names]
    assert round_weights(network, "conv1", INPUTS) == 3
    for name in ("conv1", "conv_dw_1", "conv_pw_1"):
        kernel = keras.ops.convert_to_numpy(network.get_layer(name).kernel)
        assert np.array_equal(kernel, to_bf16(kernel))
    assert np.abs(network.predict_on_batch(INPUTS) - before).max() < 0.01
    for name, mean in zip(names, means, strict=True):
        assert means_of(network, name) == pytest.approx(mean, abs=1e-5)


def test_the_normalization_behind_has_a_gain_of_exactly_one_so_that_no_engine_rounds_again() -> (
    None
):
    network = build()
    round_weights(network, "conv1", INPUTS)
    for name in ("conv1_bn", "conv_dw_1_bn", "conv_pw_1_bn"):
        layer = network.get_layer(name)
        variance = keras.ops.convert_to_numpy(layer.moving_variance)
        gamma = keras.ops.convert_to_numpy(layer.gamma)
        gain = gamma / np.sqrt(variance + np.float32(layer.epsilon))
        assert gain.dtype == np.float32
        assert (gain == 1).all()


def test_layers_before_it_and_convolutions_without_normalization_stay() -> None:
    network = build()
    stay = ("conv1", "conv1_bn", "plain", "dense")
    before = {layer.name: layer.get_weights() for layer in network.layers}
    stay = tuple(name for name in before if name.startswith(stay))
    assert round_weights(network, "conv_dw_1", INPUTS) == 2
    for name in stay:
        for old, new in zip(before[name], network.get_layer(name).get_weights(), strict=True):
            assert np.array_equal(old, new)
    assert not np.array_equal(before["conv_pw_1"][0], network.get_layer("conv_pw_1").kernel)


def test_rounding_twice_changes_no_weight() -> None:
    network = build()
    round_weights(network, "conv1", INPUTS)
    before = [keras.ops.convert_to_numpy(layer.kernel) for layer in network.layers[1:8:3]]
    round_weights(network, "conv1", INPUTS)
    after = [keras.ops.convert_to_numpy(layer.kernel) for layer in network.layers[1:8:3]]
    assert all(map(np.array_equal, before, after))


def test_a_convolution_whose_map_somebody_else_takes_too_is_left_alone() -> None:
    inputs = keras.Input((16, 16, 3))
    taken_twice = layers.Conv2D(4, 1, name="taken_twice")(inputs)
    x = layers.Add()([layers.BatchNormalization()(taken_twice), taken_twice])
    x = layers.BatchNormalization()(layers.Conv2D(4, 1, name="taken_once")(x))
    network = keras.Model(inputs, layers.GlobalMaxPooling2D()(x))
    with pytest.raises(TrainingError, match=r"^taken_twice: no convolution .* are taken_once$"):
        round_weights(network, "taken_twice", INPUTS)


def test_a_convolution_whose_map_is_an_answer_too_is_left_alone() -> None:
    inputs = keras.Input((16, 16, 3))
    x = answered = layers.Conv2D(4, 1, name="answered")(inputs)
    x = layers.GlobalMaxPooling2D()(layers.BatchNormalization()(x))
    with pytest.raises(TrainingError, match="there are none"):
        round_weights(keras.Model(inputs, [x, answered]), "answered", INPUTS)


def test_a_gain_behind_an_activation_is_not_taken_before_it() -> None:
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 1, activation="relu6", name="clipped")(inputs)
    network = keras.Model(inputs, layers.GlobalMaxPooling2D()(layers.BatchNormalization()(x)))
    with pytest.raises(TrainingError, match="there are none"):
        round_weights(network, "clipped", INPUTS)


@pytest.mark.parametrize("shared", ["convolution", "normalization"])
def test_weights_that_are_used_twice_are_left_alone(shared: str) -> None:
    one, other = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
    convolution = layers.Conv2D(3, 1, name="used_twice")
    normalization = layers.BatchNormalization()
    x = normalization(convolution(one))
    y = convolution(other) if shared == "convolution" else normalization(other)
    network = keras.Model([one, other], layers.GlobalMaxPooling2D()(layers.Add()([x, y])))
    with pytest.raises(TrainingError, match="there are none"):
        round_weights(network, "used_twice", INPUTS)


@pytest.mark.parametrize("name", ["conv_pw_99", "plain", "conv1_bn", ""])
def test_a_layer_that_is_no_such_convolution_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(TrainingError, match=r"there are conv1, conv_dw_1, conv_pw_1$"):
        round_weights(build(), name, INPUTS)


def test_a_filter_for_edges_keeps_its_sum_where_rounding_alone_does_not() -> None:
    edges = np.random.default_rng(1).normal(0, 12, (9, 200)).astype(np.float32)
    edges[-1] = 0.01 - edges[:-1].sum(axis=0)
    kept, plain = keep_sums(edges), to_bf16(edges)

    def off(filters: Any) -> Any:
        return np.abs(filters.sum(axis=0, dtype=float) - edges.sum(axis=0, dtype=float))

    assert np.array_equal(kept, to_bf16(kept))
    assert np.median(off(kept)) < np.median(off(plain)) / 20
    assert (np.abs(kept - edges).max(axis=0) <= np.abs(edges).max(axis=0) * 2**-6).all()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(1 + 2**-8, 1.0, id="a-tie-goes-to-the-even"),
        pytest.param(1 + 3 * 2**-8, 1 + 2**-6, id="a-tie-goes-to-the-even-above"),
        pytest.param(1 + 2**-7, 1 + 2**-7, id="a-bf16-number-stays"),
        pytest.param(-32.9, -33.0, id="large"),
        pytest.param(0.0, 0.0, id="nothing"),
    ],
)
def test_numbers_are_rounded_to_the_nearest_that_bf16_has(number: float, expected: float) -> None:
    assert to_bf16(np.array([number], np.float32)) == [np.float32(expected)]


@pytest.mark.parametrize(("count", "taken"), [(1, 1), (5, 5), (1000, 128)])
def test_means_are_told_by_pictures_of_the_whole_split(
    contract: ModelContract, count: int, taken: int
) -> None:
    pixels = np.zeros((count, 2, 2, 3), np.uint8)
    pixels[-1] = 255
    inputs = some_inputs(pixels, contract)
    assert inputs.shape == (taken, 2, 2, 3)
    assert inputs[-1].min() == 1
