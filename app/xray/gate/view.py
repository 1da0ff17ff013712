"""What the gate by outlines sees of a picture: its borders cropped, and then where its edges run.

No network has a part in it, so a gate that looks at this judges the same with any weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

EVEN_LEVELS: Final = 10
"""By how many levels of 255 a pixel of an even border departs from the outermost line's median."""
EVEN_SHARE: Final = 0.95
"""The share of a line that must be even: a burnt-in letter does not end a border."""
MOST_CROPPED: Final = 0.3
"""The share of the height or width that is cropped at one side at the most."""

SIDE: Final = 128
CELLS: Final = 8
DIRECTIONS: Final = 8
LAYOUT: Final = 16
GRAYS: Final = 16
SCALES: Final = 3
DIMENSIONS: Final = CELLS**2 * DIRECTIONS + LAYOUT**2 + GRAYS + SCALES * CELLS**2

_FAINT: Final = 64.0
"""A cell of the outlines whose edges add up to less is as good as even."""
_FLAT: Final = 8.0
"""A picture whose levels deviate by less has hardly any layout."""


def describe(picture: NDArray[np.uint8]) -> Plane:
    """What is seen of one picture, uint8 (height, width, 3): float32 (`DIMENSIONS`,).

    The even borders are cropped and the rest is resized to `SIDE` x `SIDE`. Of that: by cell which
    way its edges run, dark to bright (histograms of oriented gradients, normalised with the cells
    around: Dalal and Triggs 2005, CVPR); its layout, small and of even contrast; its shares of
    grays; and by cell how much is going on at three scales.
    """
    gray = crop_borders(np.asarray(Image.fromarray(picture).convert("L")))
    seen = Image.fromarray(gray).resize((SIDE, SIDE), Image.Resampling.BOX)
    levels = np.asarray(seen, dtype=np.float32)
    halved = _halve(levels)
    shares = np.bincount((np.asarray(seen) >> 4).ravel(), minlength=GRAYS) / levels.size
    parts = (_outlines(halved).ravel(), _layout(halved).ravel(), np.sqrt(shares), _texture(levels))
    return np.concatenate(parts, dtype=np.float32, casting="same_kind")


def crop_borders(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A part of `gray`, uint8 (height, width), without even borders of any level; contiguous.

    At each side so many lines are left out as are even and of the outermost line's level, up to
    `MOST_CROPPED`. Then the same once more: a border within a border, such as a screen's.
    """
    for _ in range(2):
        top, bottom = _even_lines(gray), _even_lines(gray[::-1])
        gray = gray[top : len(gray) - bottom]
        left, right = _even_lines(gray.T), _even_lines(gray.T[::-1])
        gray = gray[:, left : gray.shape[1] - right]
        if not (top or bottom or left or right):
            break
    return np.ascontiguousarray(gray)


def _even_lines(gray: NDArray[np.uint8]) -> int:
    """How many of the first lines are an even border."""
    level = int(np.median(gray[0]))
    low, high = max(level - EVEN_LEVELS, 0), min(level + EVEN_LEVELS, 255)
    most = int(len(gray) * MOST_CROPPED)
    for number in range(most):
        line = gray[number]
        if np.count_nonzero((line >= low) & (line <= high)) < EVEN_SHARE * len(line):
            return number
    return most


def _outlines(levels: Plane) -> Plane:
    """float32 (CELLS, CELLS, DIRECTIONS), 0 to 1."""
    across, down = np.zeros_like(levels), np.zeros_like(levels)
    across[:, 1:-1] = levels[:, 2:] - levels[:, :-2]
    down[1:-1] = levels[2:] - levels[:-2]
    steep = np.hypot(across, down)
    turn = np.arctan2(down, across) * np.float32(DIRECTIONS / (2 * np.pi))
    below = np.floor(turn)
    above = steep * (turn - below)
    first = below.astype(np.intp) % DIRECTIONS
    cell = np.arange(len(levels)) * CELLS // len(levels)
    place = (cell[:, None] * CELLS + cell) * DIRECTIONS
    count = CELLS**2 * DIRECTIONS
    sums = np.bincount((place + first).ravel(), (steep - above).ravel(), count)
    sums += np.bincount((place + (first + 1) % DIRECTIONS).ravel(), above.ravel(), count)
    edges = sums.reshape(CELLS, CELLS, DIRECTIONS)
    energy = np.pad(np.square(edges).sum(axis=2), 1, mode="edge")
    around = sum(
        energy[y : y + CELLS, x : x + CELLS] for y in range(3) for x in range(3)
    )  # fmt: skip
    shares = edges / np.sqrt(around + _FAINT**2)[:, :, None]
    return np.sqrt(np.maximum(shares, 0)).astype(np.float32)


def _layout(levels: Plane) -> Plane:
    """float32 (LAYOUT, LAYOUT) of mean 0."""
    small = _shrink(levels, LAYOUT)
    layout: Plane = (small - small.mean()) / (small.std() + np.float32(_FLAT))
    return layout


def _texture(levels: Plane) -> Plane:
    """float32 (SCALES x CELLS x CELLS,): logarithms of how far pixels lie from their neighbours."""
    found = []
    for _ in range(SCALES):
        smaller = _halve(levels)
        uneven = sum(np.abs(quarter - smaller) for quarter in _quarters(levels)) / np.float32(4)
        found.append(np.log1p(_shrink(uneven, CELLS)).ravel())
        levels = smaller
    return np.concatenate(found)


def _halve(levels: Plane) -> Plane:
    """Means of 2 x 2 pixels."""
    one, two, three, four = _quarters(levels)
    return (one + two + three + four) * np.float32(0.25)


def _quarters(levels: Plane) -> tuple[Plane, Plane, Plane, Plane]:
    """Each of the four pixels of all 2 x 2: slices are far quicker than a mean over two axes."""
    return levels[::2, ::2], levels[::2, 1::2], levels[1::2, ::2], levels[1::2, 1::2]


def _shrink(levels: Plane, side: int) -> Plane:
    """Means of as many pixels as make `side` x `side` of them."""
    part = len(levels) // side
    shrunk: Plane = levels.reshape(side, part, side, part).mean(axis=3).mean(axis=1)
    return shrunk
