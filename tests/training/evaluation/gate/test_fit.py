from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from app.xray.gate import OutlineGate, Sight, second_look
from training.evaluation.gate.figures import with_borders
from training.evaluation.gate.fit import ENOUGH, REFUSED_SHARE, Films, fit_gate

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 96


def film(rng: np.random.Generator, *, ground: int = 200) -> np.ndarray:
    """Two dark ovals under a bar, more or less in their places: uint8 (SIDE, SIDE, 3)."""
    image = Image.new("L", (SIDE, SIDE), ground)
    draw = ImageDraw.Draw(image)
    for left in (0.1, 0.55):
        x, y, wide, high = (rng.normal(share, 0.02) * SIDE for share in (left, 0.15, 0.33, 0.6))
        draw.ellipse((x, y, x + wide, y + high), fill=int(rng.normal(60, 8)))
    draw.rectangle((0.2 * SIDE, 0.05 * SIDE, 0.8 * SIDE, 0.12 * SIDE), fill=90)
    return drawn(image, rng)


def stripes(rng: np.random.Generator) -> np.ndarray:
    """A few lines across."""
    image = Image.new("L", (SIDE, SIDE), 40)
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        y = rng.uniform(0, SIDE)
        draw.line((0, y, SIDE, y + rng.normal(0, 5)), fill=220, width=4)
    return drawn(image, rng)


def disc(rng: np.random.Generator) -> np.ndarray:
    image = Image.new("L", (SIDE, SIDE), 20)
    x, y, wide = rng.normal((0.3, 0.3, 0.4), 0.03) * SIDE
    ImageDraw.Draw(image).ellipse((x, y, x + wide, y + wide), fill=180)
    return drawn(image, rng)


def drawn(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    levels = np.asarray(image.filter(ImageFilter.GaussianBlur(1)), np.float64)
    levels = levels + rng.normal(0, 4, levels.shape)
    return np.repeat(levels.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def many(
    draw: Callable[[np.random.Generator], np.ndarray], count: int, seed: int = 0
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([draw(rng) for _ in range(count)])


def films(count: int, seed: int = 0, sources: tuple[str, ...] = ("near", "far")) -> Films:
    pixels = many(film, count, seed)
    return Films(pixels, [sources[place % len(sources)] for place in range(count)])


STRANGERS = {"stripes": many(stripes, 12), "discs": many(disc, 12)}


@pytest.fixture(scope="module")
def fitted() -> OutlineGate:
    return fit_gate(films(80), films(40, seed=1), STRANGERS)


def refused(gate: OutlineGate, pixels: np.ndarray) -> float:
    """The share of pictures that is refused after both looks."""

    def look(pixels: np.ndarray, *, as_negatives: bool = False) -> list:
        return gate.judge(Sight(lambda: pixels, None), as_negatives=as_negatives)

    first = look(pixels)
    passed = second_look(first, lambda strange: look(255 - pixels[strange], as_negatives=True))
    return (sum(verdict.is_strange for verdict in first) - len(passed)) / len(pixels)


def test_further_films_are_let_in(fitted: OutlineGate) -> None:
    assert refused(fitted, films(60, seed=2).pixels) <= 3 * REFUSED_SHARE


@pytest.mark.parametrize("draw", [stripes, disc])
def test_further_strangers_are_refused(
    fitted: OutlineGate, draw: Callable[[np.random.Generator], np.ndarray]
) -> None:
    assert refused(fitted, many(draw, 20, seed=5)) == 1.0


def test_negatives_of_films_are_strange_at_first_and_let_in_as_negatives(
    fitted: OutlineGate,
) -> None:
    negatives = 255 - films(30, seed=3).pixels
    assert (fitted.score(negatives) > fitted.threshold).all()
    assert refused(fitted, negatives) <= 0.3


def test_films_upside_down_are_strange(fitted: OutlineGate) -> None:
    turned = np.rot90(films(30, seed=3).pixels, 2, axes=(1, 2))
    assert (fitted.score(turned) > fitted.threshold).mean() >= 0.9


@pytest.mark.parametrize("color", ["black", "white"])
def test_a_border_brings_no_more_refusals(fitted: OutlineGate, color: str) -> None:
    plain = films(40, seed=4).pixels
    bordered = with_borders([Image.fromarray(picture) for picture in plain])[color]
    pixels = np.stack([np.asarray(image) for image in bordered])
    assert refused(fitted, pixels) <= refused(fitted, plain)


def test_the_threshold_is_set_on_the_worst_of_the_sources_left_out() -> None:
    rng = np.random.default_rng(0)
    odd = np.stack([film(rng, ground=110) for _ in range(ENOUGH)])
    usual = films(100, sources=("usual",))
    train = Films(np.concatenate([usual.pixels, odd]), [*usual.sources, *["odd"] * ENOUGH])
    gate = fit_gate(train, films(10, seed=1, sources=("usual",)), STRANGERS)
    assert {name: found.pictures for name, found in gate.refused_elsewhere.items()} == {
        "usual": 110,
        "odd": ENOUGH,
    }
    assert max(found.beyond for found in gate.refused_elsewhere.values()) <= REFUSED_SHARE


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param(("unknown",), id="no manifest"),
        pytest.param(("one", *["other"] * 39), id="one source and two pictures"),
    ],
)
def test_without_two_sources_to_leave_out_val_sets_the_threshold(sources: tuple[str, ...]) -> None:
    val = films(60, seed=1)
    gate = fit_gate(films(40, sources=sources), val, STRANGERS)
    assert gate.refused_elsewhere == {}
    assert (gate.score(val.pixels) > gate.threshold).mean() <= REFUSED_SHARE
    assert gate.refused_on_val == (gate.score(val.pixels) > gate.threshold).mean()


def test_of_strangers_is_told_what_gates_refuse_that_were_fitted_without_them(
    fitted: OutlineGate,
) -> None:
    counts = {kind: found.pictures for kind, found in fitted.refused_strangers.items()}
    assert counts == {kind: len(pixels) for kind, pixels in STRANGERS.items()}
    # One picture alone of its kind cannot have been learned from.
    lone = films(1, seed=9).pixels
    gate = fit_gate(films(40), films(20, seed=1), {**STRANGERS, "a film": lone})
    assert gate.refused_strangers["a film"].refused == 0.0


@pytest.mark.parametrize("count", [1, 2], ids=["one of each", "two of each"])
def test_a_gate_is_fitted_to_little(count: int) -> None:
    strangers = {"stripes": many(stripes, count)}
    gate = fit_gate(films(count), films(count, seed=1), strangers)
    assert gate.threshold >= gate.negative_threshold > 0


def test_the_same_pictures_give_the_same_gate() -> None:
    one, other = (fit_gate(films(8), films(4, seed=1), STRANGERS) for _ in range(2))
    assert one == other
