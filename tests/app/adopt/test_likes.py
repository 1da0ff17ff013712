from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.adopt.likes import read_like
from app.xray.errors import AdoptionError
from benchmarks.rig.corpus.drawing import draw_radiograph

if TYPE_CHECKING:
    from pathlib import Path

TWO = ("NORMAL", "PNEUMONIA")
THREE = ("COVID", "NORMAL", "PNEUMONIA")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "x=1.png"
    draw_radiograph().save(path)
    return path


@pytest.mark.parametrize(
    ("said", "rounding"),
    [
        pytest.param("0.12,0.88", 5e-3, id="two digits"),
        pytest.param("0.1203465,0.8796535", 5e-8, id="seven digits"),
        pytest.param("[[0.1203465 0.8796535]]", 5e-8, id="as NumPy prints it"),
        pytest.param("(1.203465e-01, 8.796535e-01)", 5e-8, id="with exponents"),
        pytest.param("0.12,0.8796535", 5e-3, id="by the coarsest of them"),
    ],
)
def test_numbers_are_read_with_their_digits(film: Path, said: str, rounding: float) -> None:
    like = read_like(f"{film}={said}")

    assert like.path == film  # which has an equals sign in its name
    assert like.numbers == pytest.approx((0.12, 0.88), abs=5e-3)
    assert like.rounding == pytest.approx(rounding)


@pytest.mark.parametrize(
    ("said", "classes", "output", "meant"),
    [
        pytest.param("0.3,0.7", TWO, "softmax", (0.3, 0.7), id="softmax"),
        pytest.param("0.7", TWO, "sigmoid-one", (0.3, 0.7), id="one number is the second's"),
        pytest.param("0.3,0.7", TWO, "sigmoid-one", (0.3, 0.7), id="both of one sigmoid"),
        pytest.param("0.9,0.8,0", THREE, "sigmoid", (0.9, 0.8, 0.0), id="several labels"),
        pytest.param("2.0,0,0", THREE, "logits", (0.787, 0.1065, 0.1065), id="logits"),
        pytest.param("0.5,0.25,0.25", THREE, "logits", (0.5, 0.25, 0.25), id="softmax of logits"),
        pytest.param("2.0", TWO, "logits", (0.1192, 0.8808), id="one logit"),
        pytest.param("0.33,0.33,0.33", THREE, "softmax", (0.33, 0.33, 0.33), id="rounded off 1"),
    ],
)
def test_numbers_become_a_probability_for_each_class(
    film: Path, said: str, classes: tuple[str, ...], output: str, meant: tuple[float, ...]
) -> None:
    found = read_like(f"{film}={said}").probabilities(classes, output)

    assert found == pytest.approx(np.array(meant), abs=1e-4)


@pytest.mark.parametrize(
    ("said", "classes", "output", "reason"),
    [
        pytest.param("0.3", THREE, "softmax", "1 numbers for 3 classes", id="too few"),
        pytest.param("0.3,0.3,0.4", TWO, "softmax", "3 numbers for 2 classes", id="too many"),
        pytest.param("3.2,-1.0", TWO, "softmax", "no probabilities", id="logits of a softmax"),
        pytest.param("0.300,0.300,0.300", THREE, "softmax", "sum to 0.9", id="one was forgotten"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    film: Path, said: str, classes: tuple[str, ...], output: str, reason: str
) -> None:
    with pytest.raises(AdoptionError, match=reason):
        read_like(f"{film}={said}").probabilities(classes, output)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("xray.jpg", "expected PICTURE=NUMBER", id="no numbers"),
        pytest.param("xray.jpg=", "expected PICTURE=NUMBER", id="nothing after the sign"),
        pytest.param("=0.1,0.9", "expected PICTURE=NUMBER", id="no picture"),
        pytest.param("xray.jpg=NORMAL", "no numbers", id="a name"),
        pytest.param("xray.jpg=nan,0.5", "not all finite", id="not a number"),
        pytest.param("nowhere.jpg=0.1,0.9", "cannot be read", id="no such picture"),
        pytest.param(f"{__file__}=0.1,0.9", "no|not", id="no picture but a program"),
    ],
)
def test_what_is_no_picture_with_numbers_is_refused(text: str, reason: str) -> None:
    with pytest.raises(AdoptionError, match=reason):
        read_like(text)
