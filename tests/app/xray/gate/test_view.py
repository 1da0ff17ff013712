from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from app.xray.gate.view import DIMENSIONS, crop_borders, describe


def film(side: int = 224) -> np.ndarray:
    """Two dark ovals on a bright, uneven ground: uint8 (side, side)."""
    image = Image.radial_gradient("L").resize((side, side))
    image = Image.eval(image, lambda level: 230 - level // 3)
    draw = ImageDraw.Draw(image)
    for left in (0.12, 0.55):
        box = (left * side, 0.15 * side, (left + 0.33) * side, 0.8 * side)
        draw.ellipse(box, fill=50)
    return np.asarray(image)


def rgb(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[:, :, None], 3, axis=2)


@pytest.mark.parametrize("level", [0, 90, 255], ids=["black", "gray", "white"])
def test_an_even_border_of_any_level_is_cropped(level: int) -> None:
    inside = film()
    bordered = np.pad(inside, ((22, 30), (5, 40)), constant_values=level)
    np.testing.assert_array_equal(crop_borders(bordered), inside)


def test_a_letter_in_a_border_does_not_keep_it() -> None:
    bordered = np.pad(film(), 30)
    bordered[8:20, 100:110] = 255
    assert crop_borders(bordered).shape == (224, 224)


def test_a_border_within_a_border_is_cropped_as_well() -> None:
    bordered = np.pad(np.pad(film(), 20), 20, constant_values=255)
    assert crop_borders(bordered).shape == (224, 224)


def test_a_picture_without_a_border_stays_as_it_is() -> None:
    np.testing.assert_array_equal(crop_borders(film()), film())


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3, 2), (224, 224)])
def test_of_an_even_picture_something_is_left(shape: tuple[int, int]) -> None:
    left = crop_borders(np.full(shape, 80, np.uint8))
    assert min(left.shape) >= 1


@pytest.mark.parametrize("level", [0, 255], ids=["black", "white"])
def test_a_border_changes_nothing_of_what_is_seen(level: int) -> None:
    bordered = np.pad(film(), 22, constant_values=level)
    np.testing.assert_array_equal(describe(rgb(bordered)), describe(rgb(film())))


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.zeros((224, 224, 3), np.uint8), id="black"),
        pytest.param(np.full((224, 224, 3), 255, np.uint8), id="white"),
        pytest.param(np.zeros((1, 1, 3), np.uint8), id="one pixel"),
        pytest.param(rgb(film(31)), id="small"),
        pytest.param(
            np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8), id="noise"
        ),
    ],
)
def test_what_is_seen_of_any_picture_is_so_many_finite_numbers(picture: np.ndarray) -> None:
    seen = describe(picture)
    assert seen.shape == (DIMENSIONS,)
    assert seen.dtype == np.float32
    assert np.isfinite(seen).all()


def test_the_same_edges_are_seen_in_a_brighter_and_flatter_picture() -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)
    plain = np.asarray(Image.fromarray(coarse).resize((224, 224), Image.Resampling.BICUBIC))
    flatter = np.rint(60 + plain * 0.6).astype(np.uint8)
    edges = slice(0, 512)
    apart = np.abs(describe(rgb(plain))[edges] - describe(rgb(flatter))[edges]).mean()
    turned = np.abs(describe(rgb(plain))[edges] - describe(rgb(plain.T.copy()))[edges]).mean()
    assert apart < turned / 4


def test_a_negative_is_seen_as_something_else() -> None:
    assert np.abs(describe(rgb(film())) - describe(rgb(255 - film()))).max() > 0.5
