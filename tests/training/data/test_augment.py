from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks.rig.corpus.drawing import draw_radiograph
from training.data.augment import Change, apply_change, augment
from training.recipes.config import AugmentConfig

PIXELS = np.asarray(draw_radiograph(size=(224, 224)).convert("RGB"))
OTHER = np.full_like(PIXELS, 7)
STILL = AugmentConfig(rotation_degrees=0, shift=0, zoom=0, brightness=0, contrast=0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def changed(pixels: np.ndarray, config: AugmentConfig, seed: int = 0) -> np.ndarray:
    return augment(pixels, config, rng(seed), lambda: OTHER)


def test_without_any_change_the_picture_is_the_same() -> None:
    assert np.array_equal(changed(PIXELS, STILL), PIXELS.astype(np.float32))


@pytest.mark.parametrize("seed", range(20))
def test_levels_stay_levels(seed: int) -> None:
    wild = AugmentConfig(rotation_degrees=90, shift=0.5, zoom=0.5, brightness=0.9, contrast=0.9)
    found = changed(PIXELS, wild, seed)
    assert (found.shape, found.dtype) == (PIXELS.shape, np.float32)
    assert found.min() >= 0
    assert found.max() <= 255


def test_the_same_draw_gives_the_same_picture() -> None:
    config = AugmentConfig()
    assert np.array_equal(changed(PIXELS, config, 5), changed(PIXELS, config, 5))
    assert not np.array_equal(changed(PIXELS, config, 5), changed(PIXELS, config, 6))


def test_the_picture_given_is_left_as_it_was() -> None:
    before = PIXELS.copy()
    changed(PIXELS, AugmentConfig())
    assert np.array_equal(PIXELS, before)


@pytest.mark.parametrize("seed", range(10))
def test_the_heart_stays_on_its_side(seed: int) -> None:
    def likeness(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])

    found = changed(PIXELS, AugmentConfig(), seed)
    assert likeness(found, PIXELS) > likeness(found, PIXELS[:, ::-1])


@pytest.mark.parametrize(
    ("change", "farthest"),
    [("rotation_degrees", 30.0), ("shift", 0.2), ("zoom", 0.3)],
)
def test_each_movement_moves_and_turns_about_the_centre(change: str, farthest: float) -> None:
    dot = np.zeros((224, 224, 3), np.uint8)
    dot[108:116, 108:116] = 255
    moved = changed(dot, STILL.model_copy(update={change: farthest}), 3).mean(axis=2)
    rows, columns = np.nonzero(moved > 100)
    drift = np.hypot(rows.mean() - 111.5, columns.mean() - 111.5)
    corner = changed(PIXELS, STILL.model_copy(update={change: farthest}), 3)
    assert not np.array_equal(corner, PIXELS)
    assert (drift > 2) == (change == "shift")
    assert drift <= np.hypot(0.2, 0.2) * 224 + 1


def test_rotation_is_through_the_angle_that_is_drawn() -> None:
    config = STILL.model_copy(update={"rotation_degrees": 40.0})
    turn = rng(1).uniform(-1, 1, 6)[0] * 40
    expected = np.asarray(
        Image.fromarray(PIXELS).rotate(-turn, Image.Resampling.BILINEAR), dtype=np.float32
    )
    assert np.abs(changed(PIXELS, config, 1) - expected).mean() < 1


def bright_spot(pixels: np.ndarray) -> tuple[float, float]:
    """The middle of what is bright: row, column."""
    rows, columns = np.nonzero(pixels.mean(axis=2) > 100)
    return float(rows.mean()), float(columns.mean())


def dot(row: int, column: int, height: int = 100, width: int = 200) -> np.ndarray:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[row - 2 : row + 3, column - 2 : column + 3] = 255
    return pixels


@pytest.mark.parametrize(
    ("change", "row", "column"),
    [
        pytest.param(Change(), 30, 100, id="nothing"),
        pytest.param(Change(across=0.1), 30, 120, id="right by a tenth of the width"),
        pytest.param(Change(across=-0.1), 30, 80, id="left by a tenth of the width"),
        pytest.param(Change(down=0.1), 40, 100, id="down by a tenth of the height"),
        pytest.param(Change(down=-0.1), 20, 100, id="up by a tenth of the height"),
        pytest.param(Change(rotation_degrees=90), 50, 120, id="a quarter clockwise"),
        pytest.param(Change(rotation_degrees=-90), 50, 80, id="a quarter anticlockwise"),
        pytest.param(Change(zoom=0.5), 10, 100, id="twice as large"),
        pytest.param(Change(zoom=-1), 40, 100, id="half as large"),
    ],
)
def test_a_change_moves_what_is_seen_as_its_fields_say(
    change: Change, row: float, column: float
) -> None:
    assert bright_spot(apply_change(dot(30, 100), change)) == pytest.approx((row, column), abs=1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(Change(brightness=0.1), [75.5, 175.5], id="a tenth of the range brighter"),
        pytest.param(Change(brightness=-0.1), [24.5, 124.5], id="a tenth of the range darker"),
        pytest.param(Change(brightness=1), [255, 255], id="white, and no brighter"),
        pytest.param(Change(brightness=-1), [0, 0], id="black, and no darker"),
        pytest.param(Change(contrast=0.5), [25, 175], id="half as much contrast again"),
        pytest.param(Change(contrast=-1), [100, 100], id="no contrast at all"),
    ],
)
def test_a_change_shifts_levels_as_its_fields_say(change: Change, expected: list[float]) -> None:
    pixels = np.full((8, 6, 3), 50, np.uint8)
    pixels[:, 3:] = 150
    changed = apply_change(pixels, change)
    assert (changed.shape, changed.dtype) == (pixels.shape, np.float32)
    assert changed[0, [0, -1], 0] == pytest.approx(expected)


def test_what_comes_in_from_outside_is_black() -> None:
    shifted = apply_change(np.full((10, 10, 3), 200, np.uint8), Change(across=0.3))
    assert not shifted[:, :3].any()
    assert (shifted[:, 3:] == 200).all()


def test_augmenting_applies_one_draw_scaled_to_the_configuration() -> None:
    config = AugmentConfig()
    for seed in range(20):
        drawn = rng(seed).uniform(-1, 1, 6)
        bounds = [config.rotation_degrees, -config.shift, -config.shift, -config.zoom]
        change = Change(*(drawn * [*bounds, config.brightness, config.contrast]))
        assert np.array_equal(changed(PIXELS, config, seed), apply_change(PIXELS, change))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32, np.uint16])
def test_pixels_of_another_type_are_refused(kind: type) -> None:
    with pytest.raises(TypeError):
        apply_change(PIXELS.astype(kind), Change(rotation_degrees=5))


@pytest.mark.parametrize("chance", ["blur", "noise", "exposure", "surroundings", "film_border"])
def test_what_has_a_chance_happens_as_often_as_it_says(chance: str) -> None:
    config = STILL.model_copy(update={chance: 0.5})
    happened = [not np.array_equal(changed(PIXELS, config, seed), PIXELS) for seed in range(60)]
    assert 15 < sum(happened) < 45
    never = STILL.model_copy(update={chance: 0.0})
    assert np.array_equal(changed(PIXELS, never), PIXELS)


def test_a_stretch_is_of_the_width_and_the_other_way_of_the_height() -> None:
    square = np.zeros((200, 200, 3), np.uint8)
    square[60:140, 60:140] = 255
    rows, columns = np.nonzero(apply_change(square, Change(stretch=0.2)).mean(axis=2) > 100)
    assert np.ptp(columns) == pytest.approx(79 / 0.8, abs=2)
    assert np.ptp(rows) == pytest.approx(79 / 1.2, abs=2)


def test_gamma_bends_levels_and_leaves_black_and_white() -> None:
    steps = np.repeat(np.array([0, 64, 128, 255], np.uint8), 3).reshape(1, 4, 3)
    found = changed(steps, STILL.model_copy(update={"gamma": 1.0}), seed=4)[0, :, 0]
    assert (found[0], found[3]) == pytest.approx((0, 255))
    assert np.log(found[1] / 255) / np.log(64 / 255) == pytest.approx(
        np.log(found[2] / 255) / np.log(128 / 255), rel=1e-3
    )
    assert found[1] != pytest.approx(64, abs=0.5)
