from __future__ import annotations

import numpy as np
import pytest

from benchmarks.rig.corpus.drawing import draw_radiograph
from training.data import film

PIXELS = np.asarray(draw_radiograph(size=(224, 224)).convert("RGB"))
DARK = (PIXELS // 3).astype(np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_swapped_surroundings_are_those_of_the_other_and_the_lungs_stay(seed: int) -> None:
    other = np.full_like(PIXELS, 7)
    before = PIXELS.copy()
    swapped = film.swap_surroundings(PIXELS, other, rng(seed))
    inside = slice(int(0.12 * 224) + 1, int(0.84 * 224)), slice(int(0.1 * 224) + 1, int(0.9 * 224))
    assert np.array_equal(swapped[inside], PIXELS[inside])
    for edge in (swapped[:6], swapped[-11:], swapped[:, :4], swapped[:, -4:]):
        assert (edge == 7).all()
    assert np.array_equal(PIXELS, before)
    assert (other == 7).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_swapped_exposure_lies_between_ours_and_theirs(seed: int) -> None:
    swapped = film.swap_exposure(PIXELS, DARK, rng(seed))
    assert swapped.dtype == np.uint8
    assert DARK.mean() - 1 <= swapped.mean() < PIXELS.mean()


def test_a_swapped_exposure_keeps_the_order_of_the_levels() -> None:
    swapped = film.swap_exposure(PIXELS, DARK, rng(1))
    order = np.argsort(PIXELS[..., 0].ravel())
    assert (np.diff(swapped[..., 0].ravel()[order].astype(int)) >= 0).all()


def test_an_exposure_swapped_with_itself_stays() -> None:
    assert np.abs(film.swap_exposure(PIXELS, PIXELS, rng()).astype(int) - PIXELS).max() <= 1


def test_a_blurred_picture_has_softer_edges_and_the_same_mean() -> None:
    blurred = film.blur(PIXELS, rng())
    assert blurred.mean() == pytest.approx(PIXELS.mean(), abs=1)
    steps = [np.abs(np.diff(found.astype(int), axis=0)).max() for found in (blurred, PIXELS)]
    assert steps[0] < steps[1]


def test_noise_is_gray_stays_within_the_levels_and_has_no_bias() -> None:
    flat = np.full((100, 100, 3), 128, np.float32)
    noisy = film.add_noise(flat, rng())
    assert (noisy[..., :1] == noisy).all()
    assert noisy.mean() == pytest.approx(128, abs=0.5)
    assert 1 <= noisy.std() <= 10
    assert film.add_noise(np.zeros_like(flat), rng()).min() == 0
    assert film.add_noise(flat * 1.99, rng()).max() <= 255


@pytest.mark.parametrize("seed", range(8))
def test_a_border_is_even_and_leaves_the_middle(seed: int) -> None:
    levels = PIXELS.astype(np.float32)
    bordered = film.add_border(levels, rng(seed))
    changed = (bordered != levels).any(axis=2)
    assert not changed[16:-16, 16:-16].any()
    assert len(np.unique(bordered[changed])) <= 1
