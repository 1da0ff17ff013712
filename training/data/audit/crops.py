"""Which files hold one film, cropped or windowed anew: what a fingerprint of the whole misses.

A cheap search proposes pairs, by how well the middle of one picture agrees with windows of the
other, small and coarse. Each pair is then matched by template: the middle of one, at scales from
0.72 to 1.38, is slid over the other, and the other way round. Both look at local contrast alone,
so that a new window, gamma or brightness changes little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from training.data.dataset import untracked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from training.data.dataset import Track

    Plane = NDArray[np.float32]

LONGEST: Final = 96
"""Pixels of the longer side of the pictures that are compared; the aspect is kept."""
SCALES: Final = tuple(np.geomspace(0.72, 1.38, 14).tolist())
SAME: Final = 0.8
"""From this correlation on two pictures are one film.

Of 3,828 real films three pairs, seen by eye, are one film, and agree by 0.81 to 0.90. Of the others
249 agree by 0.72 or more, and two of those by 0.8 or more: see docs/train.md.
"""
MIDDLE: Final = 0.6
"""The share of each side that is the middle of a picture."""
PROPOSED: Final = 3
"""So many other pictures at most are proposed for each."""

_LOCAL: Final = 4.0
"""Pixels of the Gaussian within which contrast is normalised."""
_FLAT: Final = 4.0
"""Levels of deviation below which nothing is there to be compared."""
_CELLS: Final = 16
_COARSE_SCALES: Final = tuple(np.geomspace(0.72, 1.38, 7).tolist())
_SHIFTS: Final = (-0.12, -0.06, 0.0, 0.06, 0.12)
"""Of the longest side."""
_SMALLEST: Final = 8
"""Pixels of a side below which a template tells nothing."""
_PROMISING: Final = 0.55
"""Pairs that agree less at half the size are not looked at again."""
SMALLEST_COST_S: Final = 1e-3
"""What `local_contrast` takes at the least; `propose` takes some ten times as long for each."""
_FLOOR: Final = 0.35
"""Pairs whose windows agree less are not proposed."""


@dataclass(frozen=True)
class SameFilm:
    """Two files, by their places, and how well the middle of one is found in the other, to 1."""

    one: int
    other: int
    agreement: float


def shrink(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 (height, width), the longer side `LONGEST`, of an 8-bit picture of any mode."""
    share = LONGEST / max(image.size)
    width, height = (max(round(side * share), 2) for side in image.size)
    return np.asarray(image.convert("L").resize((width, height), Image.Resampling.BOX))


def local_contrast(small: NDArray[np.uint8]) -> Plane:
    """float32 of the same shape: how many local deviations a pixel lies above the local mean."""
    from scipy.ndimage import gaussian_filter

    levels = small.astype(np.float32)
    centred = levels - gaussian_filter(levels, _LOCAL)
    deviation = np.sqrt(gaussian_filter(np.square(centred), _LOCAL))
    normalised: Plane = centred / (deviation + np.float32(_FLAT))
    return normalised


def propose(
    contrasts: Sequence[Plane], groups: Sequence[object], track: Track = untracked
) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, of different `groups`, that may be one film; the likeliest of each.

    `contrasts` are what `local_contrast` gives. Every picture is compared with every other.
    """
    middles = np.stack([_coarse(_window(each, 1.0, 0.0, 0.0)) for each in contrasts])
    numbers = np.unique(np.array([str(group) for group in groups]), return_inverse=True)[1]
    found: set[tuple[int, int]] = set()
    for place in track(iter(range(len(contrasts))), len(contrasts)):
        windows = np.stack([_coarse(window) for window in _windows(contrasts[place])])
        agreement = (middles @ windows.T).max(axis=1)
        agreement[numbers == numbers[place]] = -1
        best = np.argsort(agreement)[::-1][:PROPOSED]
        for other in best[agreement[best] >= _FLOOR].tolist():
            found.add((min(place, other), max(place, other)))
    return sorted(found)


def match(one: Plane, other: Plane) -> float:
    """How well the middle of either is found in the other at the best of `SCALES`, up to 1.

    Every other scale is tried first, at half the size, and all only where that was promising.
    """
    coarse_one, coarse_other = _halve(one), _halve(other)
    rough = max(
        _slide(coarse_one, coarse_other, SCALES[::2]), _slide(coarse_other, coarse_one, SCALES[::2])
    )
    if rough < _PROMISING:
        return rough
    return max(_slide(one, other, SCALES), _slide(other, one, SCALES))


def find_crops(
    contrasts: Sequence[Plane], pairs: Sequence[tuple[int, int]], track: Track = untracked
) -> list[SameFilm]:
    """Those of `pairs` that hold one film; `contrasts` are what `local_contrast` gives."""
    found = []
    for one, other in track(iter(pairs), len(pairs)):
        agreement = match(contrasts[one], contrasts[other])
        if agreement >= SAME:
            found.append(SameFilm(one, other, agreement))
    return found


def _slide(middle_of: Plane, over: Plane, scales: Sequence[float]) -> float:
    from skimage.feature import match_template

    middle = Image.fromarray(_window(middle_of, 1.0, 0.0, 0.0))
    best = 0.0
    for scale in scales:
        width, height = (round(side * scale) for side in middle.size)
        if width > over.shape[1] or height > over.shape[0] or min(width, height) < _SMALLEST:
            continue
        template = np.asarray(middle.resize((width, height), Image.Resampling.BILINEAR))
        if template.std() > 0:
            found = match_template(over, template)  # type: ignore[no-untyped-call]
            best = max(best, float(found.max()))
    return best


def _window(contrast: Plane, scale: float, across: float, down: float) -> Plane:
    """The middle, `scale` times as large and shifted by shares of `LONGEST`, cut at the edges."""
    height, width = contrast.shape
    high, wide = (min(side * MIDDLE * scale, side) for side in (height, width))
    top = np.clip((height - high) / 2 + down * LONGEST, 0, height - high)
    left = np.clip((width - wide) / 2 + across * LONGEST, 0, width - wide)
    return contrast[round(top) : round(top + high), round(left) : round(left + wide)]


def _halve(contrast: Plane) -> Plane:
    height, width = (max(side // 2, 1) for side in contrast.shape)
    return np.asarray(Image.fromarray(contrast).resize((width, height), Image.Resampling.BOX))


def _windows(contrast: Plane) -> Iterator[Plane]:
    for scale in _COARSE_SCALES:
        for across in _SHIFTS:
            for down in _SHIFTS:
                yield _window(contrast, scale, across, down)


def _coarse(window: Plane) -> Plane:
    """float32 (_CELLS²,) of length 1 and mean 0."""
    small = Image.fromarray(window).resize((_CELLS, _CELLS), Image.Resampling.BOX)
    cells = np.asarray(small, dtype=np.float32).ravel()
    cells = cells - cells.mean()
    coarse: Plane = cells / max(float(np.linalg.norm(cells)), 1e-6)
    return coarse
