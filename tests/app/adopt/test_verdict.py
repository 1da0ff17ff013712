"""The search, with a network of NumPy that answers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from app.adopt import words
from app.adopt.candidates import candidates, said_outright
from app.adopt.search import Case, Search
from app.adopt.verdict import judge
from app.xray.contract import PictureContract, parse_input
from app.xray.errors import AdoptionError
from app.xray.preprocess import to_input
from benchmarks.rig.corpus.drawing import draw_radiograph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.adopt.search import Run
    from app.adopt.verdict import Verdict

SIDE = 40
NAMES = ("COVID", "NORMAL", "PNEUMONIA")
FILM = draw_radiograph(1, (150, 190), unlike=0.05)
OTHER_FILM = draw_radiograph(2, (210, 160), unlike=0.05)


def a_network(channels: int, *, sureness: float = 1.0, classes: int = 3) -> Run:
    """One convolution with ReLU over each place, and a softmax."""
    rng = np.random.default_rng(3)
    kernel = rng.normal(size=(channels, 8))
    bias = rng.normal(size=8)
    head = rng.normal(size=(8 * 16, classes))

    def run(inputs: np.ndarray) -> np.ndarray:
        assert inputs.shape == (SIDE, SIDE, channels)
        assert inputs.dtype == np.float32
        maps = np.maximum(inputs / (1 + np.abs(inputs).max() / 4) @ kernel + bias, 0)
        cells = maps.reshape(4, SIDE // 4, 4, SIDE // 4, 8).std(axis=(1, 3)).ravel()
        logits = sureness * (cells / cells.std()) @ head / 4
        powers = np.exp(logits - logits.max())
        return np.asarray(powers / powers.sum())

    return run


def search(
    way: str,
    images: Sequence[Image.Image] = (FILM,),
    *,
    digits: int = 7,
    said: str = "",
    run: Run | None = None,
    author: Any = None,
) -> tuple[Verdict, str]:
    """What is found where the author prepares by `way`, and what is said where nothing is."""
    theirs = PictureContract(input_size=(SIDE, SIDE), **parse_input(way))
    channels = theirs.input_shape[2]
    run = run or a_network(channels)
    prepare = author or (lambda image: to_input(image, theirs))
    cases = [
        Case(image, np.round(run(prepare(image)), digits), 0.5 * 10.0**-digits) for image in images
    ]
    looking = Search(cases, run)
    tried = looking.try_all(candidates((SIDE, SIDE), channels, parse_input(said) if said else {}))
    verdict = judge(tried, cases, looking.answers)
    text = "" if verdict.kind == "found" else words.refusal(verdict, tried, cases, NAMES)
    return verdict, text


@pytest.mark.parametrize(
    "way",
    [
        "channels=rgb scale=1/255 resize=nearest",
        "channels=rgb scale=1/127.5 offset=-1 resize=lanczos crop=fit",
        "channels=bgr scale=1 offset=-103.939,-116.779,-123.68 resize=nearest",
        "channels=rgb scale=1/255 resize=bilinear-opencv",
        "channels=rgb scale=1/255 resize=bilinear-tensorflow",
        "channels=gray scale=1 resize=area-opencv",
        "channels=gray scale=1 resize=bilinear per_picture=standardize",
    ],
)
def test_one_picture_with_all_digits_tells(way: str) -> None:
    verdict, said = search(way)

    assert verdict.kind == "found", said
    expected = PictureContract(input_size=(SIDE, SIDE), **parse_input(way))
    found = verdict.nearest[0].way
    for image in (FILM, OTHER_FILM):
        np.testing.assert_allclose(to_input(image, found), to_input(image, expected), atol=1e-4)


def test_a_gray_picture_does_not_tell_the_order_of_channels_and_that_is_said() -> None:
    verdict, _ = search("channels=bgr scale=1/255 resize=nearest")

    assert verdict.other_orders
    assert words.ORDER_UNKNOWN in words.found(verdict, [None])


def test_a_picture_in_color_tells_the_order_of_channels() -> None:
    rng = np.random.default_rng(5)
    film = np.asarray(FILM)[..., None] * np.array([1.0, 0.9, 0.7]) + rng.uniform(0, 9, 3)
    image = Image.fromarray(film.clip(0, 255).astype(np.uint8))

    verdict, said = search("channels=bgr scale=1/255 resize=nearest", [image])

    assert verdict.kind == "found", said
    assert verdict.nearest[0].way.channels == "bgr"
    assert not verdict.other_orders


def test_a_picture_of_the_size_of_the_input_does_not_tell_the_resizing() -> None:
    verdict, said = search("channels=gray scale=1/255 resize=nearest", [FILM.resize((SIDE, SIDE))])

    assert verdict.kind == "several"
    assert "has the size of the network's input, 40 x 40: give a --like of a larger one" in said


def test_a_square_picture_does_not_tell_the_crop() -> None:
    verdict, said = search(
        "channels=gray scale=1/255 resize=lanczos", [FILM.resize((190, 190))], said="resize=lanczos"
    )

    assert verdict.kind == "several"
    assert "say --input crop=none (the usual) or crop=fit" in said


def test_what_is_said_is_not_looked_for() -> None:
    verdict, _ = search(
        "channels=gray scale=1/255 resize=lanczos",
        [FILM.resize((190, 190))],
        said="resize=lanczos crop=none",
    )

    assert verdict.kind == "found"
    assert verdict.nearest[0].way.crop == "none"


def test_two_digits_of_one_picture_fit_many_ways() -> None:
    verdict, said = search("channels=gray scale=1/255 resize=nearest", digits=2)

    assert verdict.kind != "found"
    assert "with all the digits that model.predict prints" in said


def test_an_answer_that_is_sure_whatever_it_is_fed_tells_nothing() -> None:
    verdict, said = search(
        "channels=gray scale=1/255 resize=nearest", run=a_network(1, sureness=300.0)
    )

    assert verdict.kind == "several"
    assert "less sure of" in said


def test_what_no_contract_can_say_is_not_found() -> None:
    def by_a_power(image: Image.Image) -> np.ndarray:
        pixels = np.asarray(image.resize((SIDE, SIDE)), np.float32)[..., None] / 255
        return np.asarray(pixels**0.4)

    verdict, said = search("channels=gray scale=1 resize=nearest", author=by_a_power)

    assert verdict.kind == "none"
    assert "no combination of" in said
    assert "CLAHE" in said


def test_another_order_of_the_classes_is_named() -> None:
    plain = a_network(1)

    def run(inputs: np.ndarray) -> np.ndarray:
        return plain(inputs)[[2, 0, 1]]

    theirs = PictureContract(
        input_size=(SIDE, SIDE), **parse_input("channels=gray scale=1/255 resize=nearest")
    )
    cases = [Case(FILM, np.round(plain(to_input(FILM, theirs)), 7), 5e-8)]
    looking = Search(cases, run)
    tried = looking.try_all(candidates((SIDE, SIDE), 1, {}))
    verdict = judge(tried, cases, looking.answers)

    assert verdict.kind == "none"
    said = words.refusal(verdict, tried, cases, NAMES)
    assert "--classes PNEUMONIA,COVID,NORMAL?" in said


def test_one_number_that_is_near_by_chance_is_not_taken() -> None:
    """The author's way is none of those tried; among hundreds one comes within 0.001."""
    run = a_network(1, classes=2)
    tried = Search([Case(FILM, np.array([0.5, 0.5]), 0.0)], run)
    ways = candidates((SIDE, SIDE), 1, {})
    near = tried.try_all(ways)[7].found + np.array([4e-4, -4e-4])
    cases = [Case(FILM, near, 0.0)]
    looking = Search(cases, run)
    verdict = judge(looking.try_all(ways), cases, looking.answers)

    assert verdict.kind in {"by chance", "several"}
    assert "Give another --like" in words.refusal(verdict, looking.try_all(ways), cases, NAMES)


def test_a_second_picture_tells_what_the_first_does_not() -> None:
    way = "channels=gray scale=1/255 resize=nearest"
    small = FILM.resize((SIDE, SIDE))

    assert search(way, [small])[0].kind == "several"
    assert search(way, [small, OTHER_FILM])[0].kind == "found"


@pytest.mark.parametrize(
    ("channels", "said", "reason"),
    [
        pytest.param(3, "channels=gray", "channels gray, but the network takes 3", id="gray"),
        pytest.param(1, "channels=bgr", "channels bgr, but the network takes 1", id="color"),
        pytest.param(1, "scale=1,1,1", "scale has 3 numbers", id="numbers for each channel"),
    ],
)
def test_what_cannot_be_is_refused(channels: int, said: str, reason: str) -> None:
    with pytest.raises(AdoptionError, match=reason):
        candidates((SIDE, SIDE), channels, parse_input(said))


def test_without_numbers_all_has_to_be_said() -> None:
    with pytest.raises(AdoptionError, match="not known: resize, channels"):
        said_outright((SIDE, SIDE), 3, parse_input("scale=1/255"))

    way = said_outright((SIDE, SIDE), 1, parse_input("scale=1/255 resize=bilinear"))
    assert (way.scale, way.offset, way.per_picture, way.crop) == (1 / 255, 0, "none", "none")
