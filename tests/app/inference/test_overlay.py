from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image, ImageDraw

from app.inference.engines.openvino import OpenVINOEngine
from app.inference.engines.tensorflow import TensorFlowEngine
from app.inference.overlay import SIDE, overlay, thumbnail
from app.xray.checkpoint import read_checkpoint
from app.xray.contract import ModelContract
from app.xray.errors import EngineError
from app.xray.grad_cam import heat_map
from app.xray.graph.plan import F32
from app.xray.heat import color_table
from app.xray.preprocess import preprocess
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.graphs import graph_of
from tests.networks import write_tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from app.inference.engines.engine import Engine

CORNERS: Final = {"top left": (0, 0), "top right": (1, 0), "low left": (0, 1), "low right": (1, 1)}
CONTRACT: Final = ModelContract.recipe_of_2022(("PLAIN", "MARKED"))


def draw_plain(seed: int) -> Image.Image:
    """A radiograph taken with too little light, so that a mark is the brightest thing in it."""
    return draw_radiograph(seed).point(lambda level: level // 3)


def draw_mark(seed: int, corner: tuple[int, int]) -> tuple[Image.Image, tuple[float, float]]:
    """A radiograph with a bright disc in one corner, and the disc's place, x and y of 0 to 1."""
    rng = np.random.default_rng(seed)
    image = draw_plain(seed)
    x, y = (near + (1 - 2 * near) * rng.uniform(0.12, 0.25) for near in corner)
    half_x, half_y = 0.1 * image.width, 0.1 * image.height
    left, top = x * image.width - half_x, y * image.height - half_y
    ImageDraw.Draw(image).ellipse((left, top, left + 2 * half_x, top + 2 * half_y), fill=255)
    return image, (x, y)


def model_input(image: Image.Image) -> np.ndarray:
    return preprocess(encode(image), CONTRACT)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network that has learned to tell marked radiographs from plain ones."""
    corners = list(CORNERS.values())
    plain = [draw_plain(seed) for seed in range(100, 132)]
    marked = [draw_mark(seed, corners[seed % 4])[0] for seed in range(200, 232)]
    inputs = np.stack([model_input(image) for image in plain + marked])
    keras.utils.set_random_seed(3)
    network = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            layers.AveragePooling2D(8),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(16, activation="relu"),
            layers.Dense(2, activation="softmax"),
        ]
    )
    network.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    network.fit(inputs, np.repeat([0, 1], 32), batch_size=16, epochs=20, verbose=0)
    path = tmp_path_factory.mktemp("marked") / "marked.h5"
    return write_tiny_checkpoint(path, CONTRACT, network=network)


@pytest.fixture(scope="module", params=["openvino", "tensorflow"])
def engine(request: pytest.FixtureRequest, checkpoint: Path) -> Engine:
    if request.param == "tensorflow":
        return TensorFlowEngine(read_checkpoint(checkpoint), device="cpu")
    return OpenVINOEngine(graph_of(read_checkpoint(checkpoint)), F32, threads=1)


@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS)
def test_the_heat_lies_where_the_mark_is(corner: tuple[int, int], engine: Engine) -> None:
    for seed in range(300, 304):
        image, place = draw_mark(seed, corner)
        output = engine.predict(model_input(image)[None], with_features=True)
        assert output.probabilities[0].argmax() == 1
        assert output.feature_map is not None
        assert output.pooled is not None
        heat = heat_map(output.feature_map[0], engine.gradients(output.pooled)[0], 1)
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        hottest = (column + 0.5) / heat.shape[1], (row + 0.5) / heat.shape[0]
        assert hottest == pytest.approx(place, abs=0.15)


def test_a_plain_radiograph_is_not_taken_for_a_marked_one(engine: Engine) -> None:
    inputs = np.stack([model_input(draw_plain(seed)) for seed in range(400, 408)])
    assert (engine.predict(inputs).probabilities.argmax(axis=1) == 0).all()


# Two channels: the first bright at the upper left, the second at the lower right.
MAP: Final = np.zeros((2, 3, 2), np.float32)
MAP[0, 0, 0], MAP[1, 2, 1] = 2, 4


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        pytest.param([1, 0], [[1, 0, 0], [0, 0, 0]], id="one-channel"),
        pytest.param([1, 0.25], [[1, 0, 0], [0, 0, 0.5]], id="measured-by-its-maximum"),
        pytest.param([1, -1], [[1, 0, 0], [0, 0, 0]], id="what-speaks-against-it-is-left-out"),
        pytest.param([-1, -1], np.zeros((2, 3)), id="nothing-speaks-for-it"),
        pytest.param([0, 0], np.zeros((2, 3)), id="nothing-matters"),
        pytest.param([1e-30, 0], [[1, 0, 0], [0, 0, 0]], id="however-little"),
        pytest.param([1e38, 0], [[1, 0, 0], [0, 0, 0]], id="however-much"),
    ],
)
def test_a_place_is_as_hot_as_it_speaks_for_the_class(weights: Any, expected: Any) -> None:
    heat = heat_map(MAP, np.array([[9, 9], weights], np.float32), 1)
    assert (heat.dtype, heat.shape) == (np.float32, (2, 3))
    assert np.allclose(heat, expected)


def test_of_a_flattened_map_the_gradients_are_summed_over_its_places() -> None:
    gradients = np.zeros((2, 3, 2), np.float32)
    gradients[0, 0, 0], gradients[1, 1, 0], gradients[:, :, 1] = 3, -1, -1
    heat = heat_map(MAP, gradients.reshape(1, -1), 0)
    assert np.allclose(heat, [[1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("label", [-1, 2])
def test_a_class_that_is_not_there_is_no_other_one(label: int) -> None:
    with pytest.raises(ValueError, match=f"class {label}: expected 0 to 1"):
        heat_map(MAP, np.ones((2, 2), np.float32), label)


def test_gradients_of_another_network_are_refused() -> None:
    with pytest.raises(ValueError, match="3 features for a map of"):
        heat_map(MAP, np.ones((2, 3), np.float32), 0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("spoil", ["map", "gradients"])
def test_what_is_no_number_is_not_drawn(spoil: str, value: float) -> None:
    feature_map, gradients = MAP.copy(), np.ones((2, 2), np.float32)
    (feature_map if spoil == "map" else gradients).flat[0] = value
    with pytest.raises(EngineError, match="not finite"):
        heat_map(feature_map, gradients, 0)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param((300, 260), (300, 260), id="small"),
        pytest.param((1536, 768), (320, 160), id="wide"),
        pytest.param((20, 2000), (3, 320), id="very-tall"),
        pytest.param((9000, 1), (320, 1), id="a-line"),
        pytest.param((1, 1), (1, 1), id="a-point"),
    ],
)
def test_a_thumbnail_keeps_the_aspect(size: tuple[int, int], expected: tuple[int, int]) -> None:
    found = thumbnail(Image.new("L", size, 100))
    assert (found.mode, found.size) == ("L", expected)
    assert found.getextrema() == (100, 100)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_a_thumbnail_is_gray_whatever_the_picture_is(mode: str) -> None:
    assert thumbnail(draw_radiograph().convert(mode), 64).mode == "L"


HEAT: Final = np.pad(np.ones((1, 1), np.float32), ((0, 6), (0, 6)))


def read(data: bytes) -> Image.Image:
    """The picture of a PNG file, its checksums verified."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.verify()
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.copy()


def test_the_picture_stays_where_there_is_no_heat_and_is_colored_where_there_is() -> None:
    picture = thumbnail(draw_radiograph())
    found = read(overlay(picture, HEAT, label="COVID", probability=0.5))
    assert found.mode == "RGB"
    assert found.width == picture.width
    pixels = np.asarray(found, int)[: picture.height]
    gray = np.asarray(picture, int)
    cold = np.s_[picture.height // 2 :, picture.width // 2 :]
    assert np.array_equal(pixels[cold], np.repeat(gray[cold][..., None], 3, axis=2))
    red, _, blue = pixels[10, 10]
    assert red - blue > 100


@pytest.mark.parametrize(
    ("size", "width"),
    [
        pytest.param((1, 1), 300, id="a-point"),
        pytest.param((20, 2000), 300, id="very-tall"),
        pytest.param((2000, 20), SIDE, id="very-wide"),
        pytest.param((9000, 1), SIDE, id="a-line"),
        pytest.param((1, 9000), 300, id="a-line-upright"),
        pytest.param((1500, 1400), SIDE, id="large"),
    ],
)
def test_a_picture_of_any_shape_has_its_heat_and_a_legend(
    size: tuple[int, int], width: int
) -> None:
    picture = thumbnail(Image.new("L", size, 128))
    found = read(overlay(picture, np.ones((7, 7), np.float32), label="COVID", probability=0.5))
    assert found.width == width
    shown = max(picture.height, round(picture.height * 256 / max(picture.size)))
    assert shown + 30 < found.height < shown + 100
    pixels = np.asarray(found, int)
    in_the_middle = pixels[shown // 2, (width - 1) // 2]
    assert in_the_middle[0] - in_the_middle[2] > 50
    assert pixels[shown:].max() > 200, "the legend holds words"


@pytest.mark.parametrize("height", [1, 7])
@pytest.mark.parametrize("width", [1, 5])
def test_a_heat_map_of_any_shape_is_laid_over_the_whole_picture(height: int, width: int) -> None:
    heat = np.ones((height, width), np.float32)
    found = np.asarray(read(overlay(Image.new("L", (300, 300)), heat, label="A", probability=0)))
    assert (found[:300] == found[0, 0]).all()


@pytest.mark.parametrize(
    "label",
    [
        "",
        "COVID",
        "a very long name of a finding " * 50,
        "x" * 5000,
        "two\nlines",
        "Überblähung",
        "肺炎",
    ],
    ids=["none", "short", "long", "endless", "lines", "umlaut", "foreign"],
)
def test_a_name_of_any_length_leaves_the_legend_its_size(label: str) -> None:
    picture = Image.new("L", (300, 300))
    usual = read(overlay(picture, HEAT, label="COVID", probability=1))
    assert read(overlay(picture, HEAT, label=label, probability=1)).size == usual.size


def test_the_legend_tells_apart_names_probabilities_and_no_evidence() -> None:
    picture = Image.new("L", (300, 300))
    files = [
        overlay(picture, 0 * HEAT, label="COVID", probability=0.5),
        overlay(picture, HEAT, label="COVID", probability=0.5),
        overlay(picture, HEAT, label="NORMAL", probability=0.5),
        overlay(picture, HEAT, label="COVID", probability=0.501),
    ]
    assert len(set(files)) == len(files)


def test_the_colors_only_grow_lighter() -> None:
    """So that who sees no colours reads the same map: relative luminance, ITU-R BT.709."""
    luminance = (color_table() / 255) ** 2.2 @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -1e-3).all()
    assert luminance[-1] > 10 * luminance[0]
