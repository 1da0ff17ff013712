"""Resizing as `cv2.resize` does it to 8-bit pictures, in NumPy.

After OpenCV's modules/imgproc/src/resize.cpp, in its number types and in the order of its sums:
weights and sums in fixed point, but for the mean over an area and for what is said below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.xray.preprocess.taps import Taps, across_then_down, plain_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.preprocess.taps import Parts

    Pixels = NDArray[np.uint8]
    Shares = NDArray[np.float32]

_BITS: Final = 11
"""Of the fraction of a weight in fixed point."""
_CUBIC: Final = -0.75
"""The a of the cubic kernel (Keys 1981)."""
_LEAST_SHARE: Final = 1e-3
"""Of a source pixel: what is covered by less does not count in a mean over an area."""


def nearest(pixels: Pixels, height: int, width: int) -> Pixels:
    """`cv2.resize` with INTER_NEAREST."""

    def chosen(source: int, made: int) -> NDArray[np.int64]:
        places: NDArray[np.int64] = np.floor(np.arange(made) * _step(source, made)).astype(np.int64)
        return places.clip(0, source - 1)

    rows, columns = chosen(pixels.shape[0], height), chosen(pixels.shape[1], width)
    return pixels[rows][:, columns]


def bilinear(pixels: Pixels, height: int, width: int) -> Pixels:
    """`cv2.resize` with INTER_LINEAR, its default: between two pixels a side, no antialiasing."""
    source_height, source_width = pixels.shape[:2]
    first, fraction = _place(source_width, width)
    is_outside = (first < 0) | (first >= source_width - 1)
    first, fraction = first.clip(0, source_width - 1), np.where(is_outside, 0, fraction)
    return _bilinear(pixels, _place(source_height, height), (first, fraction))


def bicubic(pixels: Pixels, height: int, width: int) -> Pixels:
    """`cv2.resize` with INTER_CUBIC: between four pixels a side, without antialiasing.

    As OpenCV's packages for Intel and AMD compute it, by Intel's IPP: a level in some 100,000 is
    one off. Others compute it in fixed point, by which one in 20 is one off.
    """

    def shares(fraction: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        def far(x: NDArray[np.float64]) -> NDArray[np.float64]:
            return ((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC

        def near(x: NDArray[np.float64]) -> NDArray[np.float64]:
            return ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1

        first, second, third = far(fraction + 1), near(fraction), near(1 - fraction)
        return [first, second, third, 1 - first - second - third]

    def taps(source: int, made: int) -> Taps:
        exact = (np.arange(made) + 0.5) * (source / made) - 0.5
        first = np.floor(exact)
        return Taps(
            _around(source, first.astype(np.int64) - 1, 4),
            np.stack(shares(exact - first), axis=1),
        )

    rows, columns = taps(pixels.shape[0], height), taps(pixels.shape[1], width)
    return _to_levels(np.rint(across_then_down(pixels, rows, columns)))


def lanczos(pixels: Pixels, height: int, width: int) -> Pixels:
    """`cv2.resize` with INTER_LANCZOS4: between eight pixels a side, without antialiasing."""
    turn = np.sqrt(0.5)
    circle = [(1, 0), (-turn, -turn), (0, 1), (turn, -turn), (-1, 0), (turn, turn), (0, -1)]
    circle.append((-turn, turn))

    def shares(fraction: Shares) -> list[Shares]:
        angle = -(fraction + np.float32(3)).astype(np.float64) * np.pi / 4
        found = []
        for index, (sine, cosine) in enumerate(circle):
            away = fraction + np.float32(3 - index)
            is_there = np.abs(away) < 1e-6
            square = np.where(is_there, 1, (away.astype(np.float64) * np.pi / 4) ** 2)
            wave = (sine * np.sin(angle) + cosine * np.cos(angle)) / square
            found.append(np.where(is_there, 1e30, wave).astype(np.float32))
        total = np.float32(1) / sum(found[1:], found[0])
        return [share * total for share in found]

    def down(parts: Parts, weights: NDArray[Any]) -> NDArray[Any]:
        return (plain_sum(parts, weights) + (1 << (2 * _BITS - 1))) >> (2 * _BITS)

    def taps(source: int, made: int) -> Taps:
        first, fraction = _place(source, made)
        return _fixed_point(source, first - 3, shares(fraction))

    rows, columns = taps(pixels.shape[0], height), taps(pixels.shape[1], width)
    return _to_levels(across_then_down(pixels, rows, columns, down=down))


def area(pixels: Pixels, height: int, width: int) -> Pixels:
    """`cv2.resize` with INTER_AREA: the mean of what each pixel that is made covers.

    Where either side grows it is, as in OpenCV, a bilinear interpolation between other places.
    """
    source_height, source_width = pixels.shape[:2]
    step_down, step_across = _step(source_height, height), _step(source_width, width)
    if step_down < 1 or step_across < 1:
        down, across = _area_place(source_height, height), _area_place(source_width, width)
        return _bilinear(pixels, down, across)
    if step_down % 1 == step_across % 1 == 0:
        return _mean_of_blocks(pixels, int(step_down), int(step_across))
    rows, columns = _covered(source_height, height), _covered(source_width, width)
    return _to_levels(np.rint(across_then_down(pixels, rows, columns)))


def _step(source: int, made: int) -> float:
    """How many source pixels a pixel that is made stands for; rounded as OpenCV does it."""
    return 1 / (made / source)


def _place(source: int, made: int) -> tuple[NDArray[np.int64], Shares]:
    """Before which source pixel each pixel's centre lies, and how far behind that."""
    exact = ((np.arange(made) + 0.5) * _step(source, made) - 0.5).astype(np.float32)
    first = np.floor(exact)
    return first.astype(np.int64), exact - first


def _area_place(source: int, made: int) -> tuple[NDArray[np.int64], Shares]:
    first = np.floor(np.arange(made) * _step(source, made)).astype(np.int64)
    exact = (np.arange(1, made + 1) - (first + 1) * (made / source)).astype(np.float32)
    fraction = np.where(exact <= 0, 0, exact - np.floor(exact))
    return first.clip(0, source - 1), np.where(first >= source - 1, 0, fraction)


def _bilinear(
    pixels: Pixels,
    down: tuple[NDArray[np.int64], Shares],
    across: tuple[NDArray[np.int64], Shares],
) -> Pixels:
    def taps(source: int, first: NDArray[np.int64], fraction: Shares) -> Taps:
        fraction = fraction.astype(np.float32)
        return _fixed_point(source, first, [1 - fraction, fraction])

    def add(parts: Parts, weights: NDArray[Any]) -> NDArray[Any]:
        above, below = (
            (weight * (part >> 4)) >> 16 for part, weight in zip(parts, weights, strict=True)
        )
        total: NDArray[Any] = (above + below + 2) >> 2
        return total

    rows, columns = taps(pixels.shape[0], *down), taps(pixels.shape[1], *across)
    return _to_levels(across_then_down(pixels, rows, columns, down=add))


def _fixed_point(source: int, first: NDArray[np.int64], shares: list[Shares]) -> Taps:
    """Taps from `first` on, their weights rounded to fixed point."""
    weights = np.rint(np.stack(shares, axis=1) * np.float32(1 << _BITS)).astype(np.int32)
    return Taps(_around(source, first, len(shares)), weights)


def _around(source: int, first: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """`count` places from each of `first` on; outside the picture its edge goes on."""
    return (first[:, None] + np.arange(count)).clip(0, source - 1)


def _covered(source: int, made: int) -> Taps:
    """Which source pixels each pixel that is made covers, and by how much of itself."""
    step = _step(source, made)
    begin = np.arange(made) * step
    end = begin + step
    size = np.minimum(step, source - begin)
    last = np.minimum(np.floor(end).astype(np.int64), source - 1)
    first = np.minimum(np.ceil(begin).astype(np.int64), last)
    places = (first - 1)[:, None] + np.arange(int((last - first).max()) + 2)
    is_before, is_after = places < first[:, None], places >= last[:, None]
    before, after = first - begin, end - last
    share = np.where(is_before, np.where(before > _LEAST_SHARE, before, 0)[:, None], 1.0)
    tail = np.where(after > _LEAST_SHARE, np.minimum(np.minimum(after, 1), size), 0)[:, None]
    share = np.where(is_after, np.where(places == last[:, None], tail, 0), share)
    weights = (share / size[:, None]).astype(np.float32)
    return Taps(places.clip(0, source - 1), weights)


def _mean_of_blocks(pixels: Pixels, rows: int, columns: int) -> Pixels:
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    blocks = pixels.reshape(height, rows, width, columns, -1)
    total = blocks.sum(axis=(1, 3), dtype=np.int32)
    if rows == columns == 2:
        return _to_levels((total + 2) >> 2)
    return _to_levels(np.rint(total.astype(np.float32) * np.float32(1 / (rows * columns))))


def _to_levels(numbers: NDArray[Any]) -> Pixels:
    return numbers.clip(0, 255).astype(np.uint8)
