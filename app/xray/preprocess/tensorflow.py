"""Resizing as `tf.image.resize(..., antialias=False)` does it, in NumPy.

After the kernels of TensorFlow (tensorflow/core/kernels/image/resize_*_op.cc) with
half_pixel_centers, in float32. Pixels come out as float32, as TensorFlow gives them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.xray.preprocess.taps import Taps, across_then_down, down_then_across

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.preprocess.taps import Parts

    Pixels = NDArray[np.uint8]
    Levels = NDArray[np.float32]

_TABLE: Final = 1024
"""Steps between two pixels for which TensorFlow holds cubic weights."""


def nearest(pixels: Pixels, height: int, width: int) -> Pixels:
    """`tf.image.resize` with method="nearest"."""

    def chosen(source: int, made: int) -> NDArray[np.int64]:
        exact = (np.arange(made, dtype=np.float32) + np.float32(0.5)) * _step(source, made)
        places: NDArray[np.int64] = np.floor(exact).astype(np.int64)
        return places.clip(0, source - 1)

    rows, columns = chosen(pixels.shape[0], height), chosen(pixels.shape[1], width)
    return pixels[rows][:, columns]


def bilinear(pixels: Pixels, height: int, width: int) -> Levels:
    """`tf.image.resize` with its default, method="bilinear": between two pixels a side."""

    def taps(source: int, made: int) -> Taps:
        exact = _place(source, made)
        first = np.floor(exact)
        last = np.minimum(np.ceil(exact), source - 1)
        places = np.stack([first.clip(0), last], axis=1).astype(np.int64)
        return Taps(places, np.stack([exact - first] * 2, axis=1))

    def between(parts: Parts, weights: NDArray[Any]) -> NDArray[Any]:
        first, last = parts
        found: NDArray[Any] = first + (last - first) * weights[1]
        return found

    rows, columns = taps(pixels.shape[0], height), taps(pixels.shape[1], width)
    return across_then_down(pixels, rows, columns, across=between, down=between)


def bicubic(pixels: Pixels, height: int, width: int) -> Levels:
    """`tf.image.resize` with method="bicubic": Keys' kernel, which can leave 0 to 255."""
    table = _cubic_table()

    def taps(source: int, made: int) -> Taps:
        exact = _place(source, made)
        first = np.floor(exact)
        step = np.rint((exact - first) * np.float32(_TABLE)).astype(np.int64)
        weights = np.stack(
            [table[step, 1], table[step, 0], table[_TABLE - step, 0], table[_TABLE - step, 1]],
            axis=1,
        )
        places = first.astype(np.int64)[:, None] + np.arange(-1, 3)
        weights[(places < 0) | (places >= source)] = 0
        total = ((weights[:, 0] + weights[:, 1]) + weights[:, 2]) + weights[:, 3]
        weights *= (np.float32(1) / total)[:, None]
        return Taps(places.clip(0, source - 1), weights)

    return down_then_across(pixels, taps(pixels.shape[0], height), taps(pixels.shape[1], width))


def area(pixels: Pixels, height: int, width: int) -> Levels:
    """`tf.image.resize` with method="area": the mean of what each pixel that is made covers."""

    def taps(source: int, made: int) -> Taps:
        step = _step(source, made)
        begin = np.arange(made, dtype=np.float32) * step
        end = np.arange(1, made + 1, dtype=np.float32) * step
        first, stop = np.floor(begin), np.ceil(end)
        places = first[:, None] + np.arange(int((stop - first).max()), dtype=np.float32)
        ends_within = places + 1 > end[:, None]
        begins_before = places < begin[:, None]
        weights = np.where(
            begins_before,
            np.where(ends_within, step, places + 1 - begin[:, None]),
            np.where(ends_within, end[:, None] - places, np.float32(1)),
        ).astype(np.float32)
        weights[places >= stop[:, None]] = 0
        return Taps(places.astype(np.int64).clip(0, source - 1), weights)

    source_height, source_width = pixels.shape[:2]
    summed = across_then_down(pixels, taps(source_height, height), taps(source_width, width))
    share = 1 / (_step(source_height, height) * _step(source_width, width))
    return summed * np.float32(share)


def _step(source: int, made: int) -> np.float32:
    return np.float32(source) / np.float32(made)


def _place(source: int, made: int) -> Levels:
    """Where each pixel's centre lies, in source pixels."""
    centres = np.arange(made, dtype=np.float32) + np.float32(0.5)
    return centres * _step(source, made) - np.float32(0.5)


def _cubic_table() -> Levels:
    """Keys' kernel with a = -0.5 (Keys 1981), float32 (steps + 1, 2).

    Of each distance to a pixel, in steps, the weight of that one and of the next beyond.
    """
    a = -0.5
    near = (np.arange(_TABLE + 1) / _TABLE).astype(np.float32).astype(np.float64)
    far = near + 1
    table = [
        ((a + 2) * near - (a + 3)) * near * near + 1,
        ((a * far - 5 * a) * far + 8 * a) * far - 4 * a,
    ]
    return np.stack(table, axis=1).astype(np.float32)
