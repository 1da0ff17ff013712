"""A stranger's checkpoint, served as the settings say that it was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import keras
import numpy as np
import pytest

from app.main import create_app
from app.settings import read_settings
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.app.fakes import client_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
SIDE = 40


def network(units: int, end: str) -> Any:
    """A gray network that looks at its input."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(4),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(units, activation=end, kernel_initializer="random_normal"),
        ]
    )


def by_their_own_hands(film: np.ndarray, model: Any) -> np.ndarray:
    """What whoever trained it gets: OpenCV's default resizing, gray, 1/255."""
    small = cv2.resize(film, (SIDE, SIDE)) / 255.0
    found: np.ndarray = model.predict(small[None, ..., None].astype(np.float32), verbose=0)[0]
    return found


SAID = "channels=gray scale=1/255 resize=bilinear-opencv"


async def test_one_sigmoid_of_a_gray_picture_comes_as_two_classes(tmp_path: Path) -> None:
    model = network(1, "sigmoid")
    model.save(tmp_path / "theirs.h5")
    films = [draw_radiograph(seed, (300 + seed, 257)) for seed in range(3)]
    settings = read_settings(
        model_path=tmp_path / "theirs.h5", classes="NORMAL,PNEUMONIA", input=SAID
    )
    async with client_of(create_app(settings)) as client:
        health = (await client.get("/health")).json()
        contract = (await client.get("/model")).json()
        answers = [(await client.post("/predict", content=encode(film))).json() for film in films]
    for film, answer in zip(films, answers, strict=True):
        (share,) = by_their_own_hands(np.asarray(film), model)
        expected = {"NORMAL": 1 - share, "PNEUMONIA": share}
        assert answer["probabilities"] == pytest.approx(expected, abs=1e-5)
        assert answer["warnings"][0] == health["assumed"]
        assert "multi_label" not in answer["model"]
    assert "size=40 channels=gray scale=1/255 resize=bilinear-opencv" in health["assumed"]
    assert "classes NORMAL, PNEUMONIA" in health["assumed"]
    assert (contract["output"], contract["carries_contract"]) == ("sigmoid-one", False)


async def test_several_labels_come_each_by_itself_with_its_heat(tmp_path: Path) -> None:
    model = network(4, "sigmoid")
    model.save(tmp_path / "theirs.h5")
    film = draw_radiograph(1, (300, 257))
    settings = read_settings(
        model_path=tmp_path / "theirs.h5", classes="A,B,C,D", input=f"{SAID} output=sigmoid"
    )
    async with client_of(create_app(settings)) as client:
        answer = (await client.post("/predict?layers=true", content=encode(film))).json()
    expected = by_their_own_hands(np.asarray(film), model)
    found = answer["probabilities"]
    assert list(found.values()) == pytest.approx(expected.tolist(), abs=1e-5)
    assert abs(sum(found.values()) - 1) > 0.1
    assert answer["prediction_set"] == [name for name in found if found[name] >= 0.5]
    assert answer["uncertain"] is (not answer["prediction_set"])
    assert answer["model"]["multi_label"] is True
    assert answer["layers"]["heat"]


async def test_what_nobody_said_is_not_served(tmp_path: Path) -> None:
    network(2, "softmax").save(tmp_path / "theirs.h5")
    settings = read_settings(model_path=tmp_path / "theirs.h5", classes="NORMAL,PNEUMONIA")
    async with client_of(create_app(settings), until="failed") as client:
        health = (await client.get("/health")).json()
    assert "how a picture becomes its input is not known" in health["reason"]
