"""Drawn films, cropped, windowed anew and turned a little; and films that are merely alike."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from training.data.audit.crops import SAME, find_crops, local_contrast, match, propose, shrink

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 300


def film(person: int) -> Image.Image:
    """A drawn chest: all stand alike, and each has ribs, vessels and a heart of their own."""
    rng = np.random.default_rng(person)
    image = Image.new("L", (SIDE, SIDE), 170)
    draw = ImageDraw.Draw(image)
    for left in (40, 165):
        draw.ellipse((left, 40, left + 95, 250), fill=70)
    for rib in range(9):
        y = 40 + rib * 24 + rng.normal(0, 4)
        for across, turn in ((0, 1), (150, -1)):
            tilt = turn * rng.normal(12, 5)
            draw.line((across + 10, y + tilt, across + 140, y - tilt), fill=130, width=5)
    for _ in range(60):
        x, y, length, turn = rng.uniform((40, 50, 6, 0), (250, 240, 30, 2 * np.pi))
        ends = (x, y, x + length * np.cos(turn), y + length * np.sin(turn))
        draw.line(ends, fill=int(rng.uniform(90, 200)), width=int(rng.integers(1, 5)))
    draw.ellipse((130, 140, 200 + rng.normal(0, 8), 250), fill=int(rng.normal(190, 10)))
    levels = np.asarray(image.filter(ImageFilter.GaussianBlur(1.2)), np.float64)
    return Image.fromarray((levels + rng.normal(0, 3, levels.shape)).clip(0, 255).astype(np.uint8))


def window(image: Image.Image) -> Image.Image:
    """Darker, steeper and cut off at both ends."""
    shares = np.clip((np.asarray(image) / 255 - 0.15) / 0.7, 0, 1) ** 1.4
    return Image.fromarray((shares * 255).astype(np.uint8))


def crop(share: float, across: float = 0.5, down: float = 0.5) -> Callable[..., Image.Image]:
    def cut(image: Image.Image) -> Image.Image:
        side = round(SIDE * share)
        x, y = round((SIDE - side) * across), round((SIDE - side) * down)
        return image.crop((x, y, x + side, y + side))

    return cut


SPOILED = {
    "windowed anew": window,
    "cropped by 5 % a side": crop(0.9),
    "cropped by 12 % a side": crop(0.76),
    "cropped at one corner": crop(0.85, 0.0, 1.0),
    "cropped to another shape": lambda image: image.crop((30, 0, 280, SIDE)),
    "cropped and windowed anew": lambda image: window(crop(0.8)(image)),
    "turned by 1 degree": lambda image: image.rotate(1, Image.Resampling.BILINEAR),
    "smaller": lambda image: image.resize((140, 140), Image.Resampling.BOX),
    "saved with a border": lambda image: Image.fromarray(np.pad(np.asarray(image), 30)),
}


def contrast(image: Image.Image) -> np.ndarray:
    return local_contrast(shrink(image))


@cache
def contrast_of(person: int) -> np.ndarray:
    return contrast(film(person))


@pytest.mark.parametrize("how", SPOILED)
def test_a_film_is_found_in_its_spoiled_copy_among_others(how: str) -> None:
    contrasts = [*map(contrast_of, range(9)), contrast(SPOILED[how](film(0)))]
    copy = len(contrasts) - 1
    pairs = propose(contrasts, ["train"] * copy + ["test"])
    assert (0, copy) in pairs
    found = find_crops(contrasts, pairs)
    assert [(each.one, each.other) for each in found] == [(0, copy)]
    assert found[0].agreement >= SAME


def test_films_that_are_merely_alike_are_not_taken_for_one() -> None:
    contrasts = [*map(contrast_of, range(20))]
    pairs = propose(contrasts, range(20))
    assert pairs, "none is alike enough to be looked at"
    assert find_crops(contrasts, pairs) == []


def test_pictures_of_one_group_are_not_compared() -> None:
    contrasts = [contrast_of(0), contrast(crop(0.9)(film(0)))]
    assert propose(contrasts, ["train", "train"]) == []


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(Image.new("L", (50, 50), 90), id="even"),
        pytest.param(Image.new("L", (1, 1)), id="one pixel"),
        pytest.param(Image.new("L", (2000, 3), 255), id="a line"),
        pytest.param(Image.new("RGB", (40, 60)), id="in colour"),
    ],
)
def test_what_has_nothing_to_be_found_agrees_with_nothing(image: Image.Image) -> None:
    assert match(contrast(image), contrast_of(0)) < SAME
    assert propose([contrast(image), contrast_of(0)], ["a", "b"]) == []


def test_the_aspect_is_kept() -> None:
    assert shrink(Image.new("L", (400, 200))).shape == (48, 96)
