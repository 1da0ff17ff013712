from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from training.data.augment import Change, apply_change
from training.evaluation.shortcuts import (
    CHANGES,
    agreement_under_changes,
    black_out_lungs,
    keep_border,
    soften,
)

SIZES = [(224, 224), (100, 50), (101, 37), (50, 201), (7, 9), (1, 1)]


def pictures(count: int = 3, height: int = 40, width: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (count, height, width, 3), dtype=np.uint8)


def bad_pixels() -> list[object]:
    return [
        pytest.param(pictures().astype(np.float32), id="levels that are no bytes"),
        pytest.param(pictures()[0], id="one picture alone"),
        pytest.param(pictures()[..., 0], id="no channels"),
        pytest.param(pictures()[..., :2], id="two channels"),
    ]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_black_lungs_are_the_rectangle_that_is_promised(height: int, width: int) -> None:
    masked = black_out_lungs(pictures(2, height, width))
    row = (np.arange(height) + 0.5) / height
    column = (np.arange(width) + 0.5) / width
    inside = np.outer((row > 0.06) & (row < 0.90), (column > 0.05) & (column < 0.95))
    outside = np.outer(
        (row < 0.06 - 1 / height) | (row > 0.90 + 1 / height), np.ones(width)
    ) + np.outer(np.ones(height), (column < 0.05 - 1 / width) | (column > 0.95 + 1 / width))
    assert not masked[:, inside].any()
    assert masked[:, outside > 0].all()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_of_a_border_only_the_outermost_pixels_are_kept(height: int, width: int) -> None:
    given = pictures(2, height, width)
    kept = keep_border(given)
    down, across = int(np.ceil(0.04 * height)), int(np.ceil(0.04 * width))
    assert not kept[:, down : height - down, across : width - across].any()
    frame = np.ones((height, width), bool)
    frame[down : height - down, across : width - across] = False
    assert np.array_equal(kept[:, frame], given[:, frame])


def test_at_the_networks_size_a_quarter_is_left_of_black_lungs_and_less_of_a_border() -> None:
    white = np.full((1, 224, 224, 3), 255, np.uint8)
    assert black_out_lungs(white).mean() / 255 == pytest.approx(0.24, abs=0.01)
    assert keep_border(white).mean() / 255 == pytest.approx(0.155, abs=0.01)


@pytest.mark.parametrize("mask", [black_out_lungs, keep_border])
def test_a_mask_leaves_what_it_is_given_and_returns_the_like(mask: object) -> None:
    given = pictures()
    before = given.copy()
    masked = mask(given)  # type: ignore[operator]
    assert (masked.shape, masked.dtype) == (given.shape, given.dtype)
    assert np.array_equal(given, before)


@pytest.mark.parametrize("mask", [black_out_lungs, keep_border])
def test_a_mask_of_no_pictures_is_no_pictures(mask: object) -> None:
    assert mask(pictures(0)).shape == (0, 40, 30, 3)  # type: ignore[operator]


@pytest.mark.parametrize("mask", [black_out_lungs, keep_border, agreement_under_changes])
@pytest.mark.parametrize("bad", bad_pixels())
def test_what_is_no_stack_of_pictures_is_refused(mask: object, bad: np.ndarray) -> None:
    options = {"predict": by_mean} if mask is agreement_under_changes else {}
    with pytest.raises(ValueError, match=r"expected uint8 \(n, height, width, 1 or 3\)"):
        mask(bad, **options)  # type: ignore[operator]


def two_classes(first: np.ndarray) -> np.ndarray:
    return np.stack([first, 1 - first], axis=1).astype(np.float64)


def constant(pixels: np.ndarray) -> np.ndarray:
    return two_classes(np.full(len(pixels), 0.7))


def by_mean(pixels: np.ndarray) -> np.ndarray:
    return two_classes(pixels.mean(axis=(1, 2, 3)) / 255)


def by_one_pixel(pixels: np.ndarray) -> np.ndarray:
    return two_classes(pixels[:, 20, 15, 0] / 255)


def test_one_who_always_says_the_same_agrees_with_themselves() -> None:
    found = agreement_under_changes(pictures(), constant)
    assert list(found) == list(CHANGES)
    for agreement in found.values():
        assert (agreement.pictures, agreement.same.value, agreement.drift) == (3, 1.0, 0.0)


def test_one_who_looks_at_one_pixel_changes_their_mind_when_the_picture_moves() -> None:
    right = {"right": partial(apply_change, change=Change(across=0.1))}
    moved = agreement_under_changes(pictures(200), by_one_pixel, right)["right"]
    assert 0.3 < moved.same.value < 0.7
    assert moved.same.low < moved.same.value < moved.same.high
    assert moved.drift > 0.2


def test_one_who_sees_only_the_middle_of_an_even_picture_ignores_shifts() -> None:
    even = np.repeat(np.arange(60, 200, dtype=np.uint8), 40 * 30 * 3).reshape(-1, 40, 30, 3)
    found = agreement_under_changes(even, by_one_pixel)
    moves = [name for name in CHANGES if "moved" in name or "turned" in name]
    assert [found[name].same.value for name in moves] == [1.0] * len(moves)
    assert max(found[name].drift for name in moves) < 1e-6
    assert found["10 % brighter"].same.value < 1


def test_drift_is_that_of_the_class_that_was_likeliest() -> None:
    gray = np.full((4, 40, 30, 3), 51, np.uint8)  # the second class, 0.8
    brighter = {"brighter": partial(apply_change, change=Change(brightness=0.1))}
    found = agreement_under_changes(gray, by_mean, brighter)
    assert found["brighter"].same.value == 1
    assert found["brighter"].drift == pytest.approx(0.1, abs=1e-6)


def test_one_who_looks_for_grain_finds_it_only_where_it_was_added() -> None:
    def by_roughness(pixels: np.ndarray) -> np.ndarray:
        rough = np.abs(np.diff(pixels.astype(np.float32), axis=2)).mean(axis=(1, 2, 3))
        return two_classes(np.clip(rough / 10, 0, 1))

    even = np.repeat(np.arange(60, 200, dtype=np.uint8), 40 * 30 * 3).reshape(-1, 40, 30, 3)
    found = agreement_under_changes(even, by_roughness)
    assert found["with a little grain"].same.value == 0
    assert found["a little less sharp"].same.value == 1


def test_a_soft_picture_keeps_its_mean_and_loses_its_edges() -> None:
    (picture,) = pictures(1)
    softer = soften(picture)
    assert softer.mean() == pytest.approx(picture.mean(), abs=1)
    assert softer.std() < picture.std()


@pytest.mark.parametrize("chunk", [1, 4, 10, 1000])
def test_no_more_pictures_are_predicted_at_once_than_a_chunk_holds(chunk: int) -> None:
    sizes = []

    def predict(pixels: np.ndarray) -> np.ndarray:
        sizes.append(len(pixels))
        return by_mean(pixels)

    found = agreement_under_changes(pictures(10), predict, chunk=chunk)
    assert max(sizes) == min(chunk, 10)
    assert sum(sizes) == 10 * (1 + len(CHANGES))
    assert found == agreement_under_changes(pictures(10), by_mean)


def test_the_predictor_gets_bytes_first_and_changed_levels_then() -> None:
    kinds = []

    def predict(pixels: np.ndarray) -> np.ndarray:
        kinds.append(pixels.dtype)
        assert pixels.min() >= 0
        assert pixels.max() <= 255
        return by_mean(pixels)

    agreement_under_changes(pictures(), predict)
    assert kinds == [np.uint8] + [np.float32] * len(CHANGES)


@pytest.mark.parametrize(
    ("count", "chunk"),
    [
        pytest.param(0, 64, id="no picture"),
        pytest.param(3, 0, id="chunks of none"),
        pytest.param(3, -1, id="chunks of less than none"),
    ],
)
def test_nothing_to_change_is_refused(count: int, chunk: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        agreement_under_changes(pictures(count), by_mean, chunk=chunk)
