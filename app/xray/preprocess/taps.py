"""Resizing as a weighted sum of source rows and columns: which of them, and how they are summed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Parts = Iterator[NDArray[Any]]
    Combine = Callable[[Parts, NDArray[Any]], NDArray[Any]]

_BLOCK_NUMBERS: Final = 1 << 22
"""How many numbers are worked on at a time, so that memory is bounded."""


class Taps(NamedTuple):
    """For each of n places that are made, the k source places that it is made of, in order.

    `places` is int64 (n, k) within the source; `weights` (n, k), of the library's own type. Where
    a place is made of fewer than k, the rest has the weight 0.
    """

    places: NDArray[np.int64]
    weights: NDArray[Any]


def plain_sum(parts: Parts, weights: NDArray[Any]) -> NDArray[Any]:
    """The sum of `parts`, each times its weight, one product after the other, in their type.

    The rows of `weights`, one for each part, spread over the parts. Sums of floating point numbers
    depend on their order: this is the one that a loop in C takes.
    """
    total: NDArray[Any] = next(parts) * weights[0]
    for part, weight in zip(parts, weights[1:], strict=True):
        total += part * weight
    return total


def across_then_down(
    pixels: NDArray[Any],
    rows: Taps,
    columns: Taps,
    *,
    across: Combine = plain_sum,
    down: Combine = plain_sum,
) -> NDArray[Any]:
    """`pixels` (height, width, channels), summed along each row that is needed, then along columns.

    Gives (rows, columns, channels) of the type that `down` gives.
    """
    used, columns = _only_used(columns)
    made = []
    for block in _blocks(rows, len(used) * pixels.shape[2]):
        used_rows, block = _only_used(block)
        # Turned, so that what is picked out lies side by side: that is three times as fast.
        turned = np.ascontiguousarray(pixels[used_rows][:, used].transpose(1, 0, 2))
        summed = _combine(turned, columns, across).transpose(1, 0, 2)
        made.append(_combine(summed, block, down))
    return np.concatenate(made)


def down_then_across(pixels: NDArray[Any], rows: Taps, columns: Taps) -> NDArray[Any]:
    """As `across_then_down` with `plain_sum`, but along the columns first."""
    turned = across_then_down(pixels.transpose(1, 0, 2), columns, rows)
    return np.ascontiguousarray(turned.transpose(1, 0, 2))


def _combine(lines: NDArray[Any], taps: Taps, combine: Combine) -> NDArray[Any]:
    """What `combine` makes of `lines`, (places, others, channels), along their first axis."""
    kind = taps.weights.dtype
    parts = (lines[places].astype(kind, copy=False) for places in taps.places.T)
    return combine(parts, taps.weights.T[:, :, None, None])


def _only_used(taps: Taps) -> tuple[NDArray[np.int64], Taps]:
    """The source places that `taps` use, in order, and the taps among those alone."""
    used, places = np.unique(taps.places, return_inverse=True)
    return used, Taps(places.reshape(taps.places.shape), taps.weights)


def _blocks(taps: Taps, numbers_a_line: int) -> Iterator[Taps]:
    """`taps` in pieces that use no more than about `_BLOCK_NUMBERS` numbers of the source each."""
    lines = max(1, _BLOCK_NUMBERS // numbers_a_line)
    size = max(1, lines // taps.places.shape[1])
    for start in range(0, len(taps.places), size):
        yield Taps(taps.places[start : start + size], taps.weights[start : start + size])
