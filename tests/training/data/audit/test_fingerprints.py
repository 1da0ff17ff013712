from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from training.data.audit.fingerprints import (
    ALIKE,
    BITS,
    NEAR,
    find_pairs,
    fingerprint,
    is_featureless,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def distance(one: Image.Image, other: Image.Image) -> int:
    return int(np.bitwise_count(fingerprint(one) ^ fingerprint(other)).sum())


def saved(image: Image.Image, quality: int = 50) -> Image.Image:
    return Image.open(io.BytesIO(encode(image, "JPEG", quality=quality)))


def scaled(image: Image.Image, factor: float) -> Image.Image:
    width, height = image.size
    size = (round(width * factor), round(height * factor))
    return image.resize(size, Image.Resampling.BICUBIC)


def bent(image: Image.Image, gamma: float) -> Image.Image:
    return image.point([round(255 * (level / 255) ** gamma) for level in range(256)])


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "quality-50": saved,
    "quality-50-and-10-percent-larger": lambda image: saved(scaled(image, 1.1)),
    "quality-50-and-10-percent-smaller": lambda image: saved(scaled(image, 0.9)),
    "quality-50-and-half-as-large": lambda image: saved(scaled(image, 0.5)),
    "darker": lambda image: bent(image, 1.5),
    "brighter": lambda image: bent(image, 0.67),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_picture_saved_anew_is_near_itself(copy: Callable[[Image.Image], Image.Image]) -> None:
    for seed in range(5):
        picture = draw_radiograph(seed, (900, 800))
        assert distance(picture, copy(picture)) < NEAR


def test_the_noise_of_an_even_border_does_not_count() -> None:
    rng = np.random.default_rng(0)
    chest = np.asarray(draw_radiograph(3, (600, 600)))
    framed = [np.pad(chest, 300).astype(int) + rng.integers(0, 4, (1200, 1200)) for _ in range(2)]
    one, other = (Image.fromarray(picture.clip(0, 255).astype(np.uint8)) for picture in framed)
    assert distance(one, other) < NEAR


def test_different_people_are_not_near_each_other() -> None:
    found = np.array([fingerprint(draw_radiograph(seed, unlike=0.06)) for seed in range(30)])
    assert list(find_pairs(found, ALIKE)) == []


@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_a_picture_of_any_mode_has_a_fingerprint(mode: str) -> None:
    picture = draw_radiograph().convert(mode)
    found = fingerprint(picture)
    assert found.shape == (8,)
    assert found.dtype == np.uint64
    if mode != "1":  # dithered: another picture
        assert distance(picture, draw_radiograph()) < NEAR


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (15, 17)], ids=str)
def test_a_picture_of_any_size_has_a_fingerprint(size: tuple[int, int]) -> None:
    assert fingerprint(draw_radiograph().resize(size)).shape == (8,)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_even_picture_is_featureless(level: int) -> None:
    assert is_featureless(fingerprint(Image.new("L", (300, 200), level)))


def test_a_radiograph_is_not_featureless() -> None:
    assert not is_featureless(fingerprint(draw_radiograph()))


def random_fingerprints(count: int) -> NDArray[np.uint64]:
    return np.random.default_rng(0).integers(0, 2**64, (count, 8), dtype=np.uint64)


def test_the_search_finds_what_comparing_all_pairs_finds() -> None:
    found = random_fingerprints(600)  # more than are compared at once
    pairs = [
        (i, j, int(np.bitwise_count(found[i] ^ found[j]).sum()))
        for i in range(600)
        for j in range(i + 1, 600)
    ]
    below = 220
    expected = sorted(pair for pair in pairs if pair[2] < below)
    assert expected
    assert sorted(find_pairs(found, below)) == expected


def test_opposite_fingerprints_differ_in_every_bit() -> None:
    one = random_fingerprints(1)[0]
    assert list(find_pairs(np.array([one, ~one]), BITS + 1)) == [(0, 1, 512)]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_fingerprints_make_no_pair(count: int) -> None:
    assert list(find_pairs(random_fingerprints(count))) == []


def test_on_real_radiographs_copies_are_near_and_other_pictures_are_not(shared: Path) -> None:
    files = sorted((shared / "cxr").glob("*/*/*.jpg"))[::3]  # all of them take a quarter minute
    copied = set(files[::10])

    def look(file: Path) -> tuple[NDArray[np.uint64], list[int]]:
        picture = Image.open(file)
        copies = COPIES.values() if file in copied else ()
        return fingerprint(picture), [distance(picture, copy(picture)) for copy in copies]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found, distances = zip(*pool.map(look, files), strict=True)
    assert max(max(row) for row in distances if row) < NEAR
    assert list(find_pairs(np.array(found), 55)) == []
