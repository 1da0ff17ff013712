"""Levels as they are stored -> 0 to 255."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


_ROWS_AT_ONCE: Final = 64


def spread(low: int, high: int, levels: int) -> NDArray[np.uint8]:
    """uint8 (levels,): what each level becomes when `low` becomes 0 and `high` 255."""
    return to_bytes(np.arange(levels, dtype=np.float64), low, high)


def to_bytes(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    """uint8 of the same shape: `low` becomes 0, `high` 255, what lies outside the nearer one."""
    slope = 255 / (high - low if high > low else 1)
    return ((values - low) * slope).round().clip(0, 255).astype(np.uint8)


def look_up(
    table: NDArray[np.uint8], levels: NDArray[np.uint8] | NDArray[np.uint16]
) -> NDArray[np.uint8]:
    """uint8 of the shape of `levels`, each replaced by its row of `table`; no other large copy."""
    looked_up = np.empty(levels.shape, np.uint8)
    for row in range(0, len(levels), _ROWS_AT_ONCE):
        looked_up[row : row + _ROWS_AT_ONCE] = table[levels[row : row + _ROWS_AT_ONCE]]
    return looked_up
