"""What becomes of a file that carries no contract: known, said, or refused; never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import pytest
import tf_keras

from app.xray.checkpoint import read_checkpoint
from app.xray.contract import ModelContract, parse_input
from app.xray.errors import CheckpointCorrupt, CheckpointRefused
from tests.networks import build_tiny, network_of_2022

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")

SAID = "channels=rgb scale=1/255 resize=bilinear-opencv"


def saved(network: Any, folder: Path) -> Path:
    """The network as its own framework saves it, without a contract."""
    network.save(folder / "model.h5")
    return folder / "model.h5"


def small(*, side: int = 24, channels: int = 3, units: int = 2, end: str = "softmax") -> Any:
    """A network of a few layers that is nobody's recipe."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((side, side, channels)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(units, activation=end),
        ]
    )


def wrapped(library: Any) -> Any:
    """The network of 2022 whose backbone is a model within the model."""
    layers = library.layers
    backbone = library.applications.MobileNet(
        input_shape=(224, 224, 3), include_top=False, pooling="max", weights=None
    )
    head = [layers.Dense(512, "relu"), layers.Dropout(0.5), layers.Dense(512, "relu")]
    head += [layers.BatchNormalization(), layers.Dense(16, "relu"), layers.Dense(3, "softmax")]
    return library.Sequential([library.Input((224, 224, 3)), backbone, *head])


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras-3", "keras-2"])
@pytest.mark.parametrize("build", [network_of_2022, wrapped], ids=["flat", "nested"])
def test_the_network_of_2022_is_told_by_its_layers(
    build: Any, library: Any, tmp_path: Path
) -> None:
    path = saved(build(library), tmp_path)
    found = read_checkpoint(path)
    assert found.contract == ModelContract.recipe_of_2022()
    assert not found.carries_contract
    assert found.assumption is not None
    assert "COVID, NORMAL, PNEUMONIA, in this order" in found.assumption
    renamed = read_checkpoint(path, classes=["SICK", "WELL", "OTHER"])
    assert renamed.contract == ModelContract.recipe_of_2022(["SICK", "WELL", "OTHER"])
    assert "SICK, WELL, OTHER" in str(renamed.assumption)


def test_even_of_the_network_of_2022_something_else_may_be_said(tmp_path: Path) -> None:
    path = saved(network_of_2022(keras), tmp_path)
    found = read_checkpoint(path, classes="ABC", said=parse_input(SAID))
    assert (found.contract.resize, found.contract.output) == ("bilinear-opencv", "softmax")
    assert "bilinear-opencv" in str(found.assumption)


def other_head(units: tuple[int, ...], end: str = "softmax") -> Any:
    backbone = keras.applications.MobileNet(
        input_shape=(224, 224, 3), include_top=False, pooling="max", weights=None
    )
    tensor = backbone.output
    for count in units[:-1]:
        tensor = keras.layers.Dense(count, "relu")(tensor)
    return keras.Model(backbone.input, keras.layers.Dense(units[-1], end)(tensor))


OTHERS = {
    "small": small,
    "tiny": lambda: build_tiny(keras),
    "another-head": lambda: other_head((512, 16, 3)),
    "four-classes": lambda: other_head((512, 512, 16, 4)),
    "sigmoids": lambda: other_head((512, 512, 16, 3), "sigmoid"),
}


@pytest.fixture(scope="module")
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(OTHERS[request.param](), tmp_path_factory.mktemp("other"))


@pytest.mark.parametrize("other", OTHERS, indirect=True)
@pytest.mark.parametrize("classes", [None, "ABC"], ids=["nothing-said", "classes-said"])
def test_any_other_network_is_refused_and_what_to_say_is_said(other: Path, classes: Any) -> None:
    with pytest.raises(CheckpointRefused) as refused:
        read_checkpoint(other, classes=classes)
    words = str(refused.value)
    assert words.startswith(f"{other}: it carries no contract, and how a picture becomes its input")
    assert ("what its outputs are called" in words) is (classes is None)
    assert "python -m app.adopt" in words
    assert "CXR_CLASSES=" in words
    assert "CXR_INPUT='" in words
    assert "\n" not in words


def test_what_the_file_leaves_no_doubt_of_need_not_be_said(tmp_path: Path) -> None:
    path = saved(small(side=40, channels=1, units=1, end="sigmoid"), tmp_path)
    found = read_checkpoint(path, classes="NP", said=parse_input("scale=1/255 resize=box"))
    contract = found.contract
    assert (contract.input_shape, contract.output) == ((40, 40, 1), "sigmoid-one")
    assert "size=40 channels=gray scale=1/255 resize=box output=sigmoid-one" in str(
        found.assumption
    )


@pytest.mark.parametrize(
    ("network", "said", "missing"),
    [
        pytest.param({}, "scale=1 resize=box", "channels", id="red-or-blue-first"),
        pytest.param({}, "channels=rgb resize=box", "scale", id="scale"),
        pytest.param({}, "channels=rgb scale=1", "resize", id="resize"),
        pytest.param({}, "size=24", "channels, scale, resize", id="all-but-the-size"),
        pytest.param({"side": None}, SAID, "size", id="a-size-that-is-open"),
        pytest.param({"end": "sigmoid"}, SAID, "output", id="two-sigmoids"),
        pytest.param({"end": "linear"}, SAID, "output", id="numbers-of-any-size"),
    ],
)
def test_what_neither_file_nor_operator_says_is_not_guessed(
    network: dict[str, Any], said: str, missing: str, tmp_path: Path
) -> None:
    path = saved(small(**network), tmp_path)
    with pytest.raises(CheckpointRefused, match=f"nor CXR_INPUT says {missing};"):
        read_checkpoint(path, classes="AB", said=parse_input(said))


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        pytest.param(f"size=32 {SAID}", CheckpointCorrupt, "the contract says", id="another-size"),
        pytest.param(
            "channels=gray scale=1 resize=box", CheckpointCorrupt, "the contract says", id="gray"
        ),
        pytest.param(f"{SAID} crop=fit", CheckpointRefused, "no meaning in OpenCV", id="crop"),
        pytest.param(
            f"{SAID} output=sigmoid-one", CheckpointCorrupt, "the contract has 2", id="one-sigmoid"
        ),
        pytest.param(f"{SAID} offset=1,2", CheckpointRefused, "offset has 2 numbers", id="numbers"),
    ],
)
def test_what_is_said_and_cannot_be_is_refused(
    said: str, error: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        read_checkpoint(saved(small(), tmp_path), classes="AB", said=parse_input(said))
