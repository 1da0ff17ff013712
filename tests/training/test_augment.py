from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.drawing import draw_radiograph
from training.augment import augment
from training.config import AugmentConfig

PIXELS = np.asarray(draw_radiograph(size=(224, 224)).convert("RGB"))
STILL = AugmentConfig(rotation_degrees=0, shift=0, zoom=0, brightness=0, contrast=0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_without_any_change_the_picture_is_the_same() -> None:
    assert np.array_equal(augment(PIXELS, STILL, rng()), PIXELS.astype(np.float32))


@pytest.mark.parametrize("seed", range(20))
def test_levels_stay_levels(seed: int) -> None:
    wild = AugmentConfig(rotation_degrees=90, shift=0.5, zoom=0.5, brightness=0.9, contrast=0.9)
    changed = augment(PIXELS, wild, rng(seed))
    assert (changed.shape, changed.dtype) == (PIXELS.shape, np.float32)
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_the_same_draw_gives_the_same_picture() -> None:
    config = AugmentConfig()
    assert np.array_equal(augment(PIXELS, config, rng(5)), augment(PIXELS, config, rng(5)))
    assert not np.array_equal(augment(PIXELS, config, rng(5)), augment(PIXELS, config, rng(6)))


def test_the_picture_given_is_left_as_it_was() -> None:
    before = PIXELS.copy()
    augment(PIXELS, AugmentConfig(), rng())
    assert np.array_equal(PIXELS, before)


@pytest.mark.parametrize("seed", range(10))
def test_the_heart_stays_on_its_side(seed: int) -> None:
    def likeness(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])

    changed = augment(PIXELS, AugmentConfig(), rng(seed))
    assert likeness(changed, PIXELS) > likeness(changed, PIXELS[:, ::-1])


@pytest.mark.parametrize(
    ("change", "farthest"),
    [("rotation_degrees", 30.0), ("shift", 0.2), ("zoom", 0.3)],
)
def test_each_movement_moves_and_turns_about_the_centre(change: str, farthest: float) -> None:
    dot = np.zeros((224, 224, 3), np.uint8)
    dot[108:116, 108:116] = 255
    moved = augment(dot, STILL.model_copy(update={change: farthest}), rng(3)).mean(axis=2)
    rows, columns = np.nonzero(moved > 100)
    drift = np.hypot(rows.mean() - 111.5, columns.mean() - 111.5)
    corner = augment(PIXELS, STILL.model_copy(update={change: farthest}), rng(3))
    assert not np.array_equal(corner, PIXELS)
    assert (drift > 2) == (change == "shift")
    assert drift <= np.hypot(0.2, 0.2) * 224 + 1


def test_rotation_is_through_the_angle_that_is_drawn() -> None:
    config = STILL.model_copy(update={"rotation_degrees": 40.0})
    turn = rng(1).uniform(-1, 1, 6)[0] * 40
    expected = np.asarray(
        Image.fromarray(PIXELS).rotate(-turn, Image.Resampling.BILINEAR), dtype=np.float32
    )
    assert np.abs(augment(PIXELS, config, rng(1)) - expected).mean() < 1
