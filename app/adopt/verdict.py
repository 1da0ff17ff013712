"""What a search came to: one way, several, none, or one that may have come near by chance."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from PIL import Image

from app.xray.preprocess import to_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from app.adopt.search import Case, Tried

TOLERANCE: Final = 1e-3
"""How far a probability may lie from the author's."""
_NOISE: Final = 1e-6
"""How far two float32 computations of one network may lie apart without further notice."""
_FARTHER: Final = 10.0
"""How many times as far as the nearest another way must lie for the digits to tell them apart."""
_BY_CHANCE: Final = 0.02
"""How likely, where no way is the author's, one may have come as near as the nearest did."""
_SAME_INPUT: Final = 1e-4
"""Of the range of a model input: a fortieth of one of 255 levels."""
_MOST_COMPARED: Final = 40
_SHOWN: Final = 3
_MOST_PERMUTED: Final = 5
_SIZES: Final = ((311, 457), (613, 509), (90, 70))
"""Width and height of drawn pictures on which two ways are compared."""

Kind = Literal["found", "several", "by chance", "none"]


class Verdict(NamedTuple):
    """What a search came to."""

    kind: Kind
    nearest: tuple[Tried, ...]
    """The way that was found; or those that fit; or the nearest few."""
    tried: int
    fitting: int
    """Of those tried, how many come within `TOLERANCE`."""
    one_in: float
    """Of so many searches in which no way is right, one finds one as near as the nearest."""
    other_orders: bool = False
    """Whether the other order of channels has the same effect on all pictures given."""


def judge(tried: Sequence[Tried], cases: Sequence[Case], answers: int) -> Verdict:
    """The verdict on `tried`, in the order in which they are to be preferred.

    `answers` is how many inputs the network was run on. A way is found where it comes within
    `TOLERANCE` of the author's numbers, and is the only one that does; or where all others that do
    lie `_FARTHER` times as far from them. Ways that make the same model input of the pictures
    given, and of drawn ones of several sizes, are one.
    """
    ordered = sorted(tried, key=lambda each: each.difference)
    nearest = ordered[0].difference
    fitting = sum(each.difference <= TOLERANCE for each in tried)
    reach = min(TOLERANCE, _FARTHER * max(nearest, _NOISE))
    rivals = [each for each in tried if each.difference <= reach]
    one_in = 1 / _chance(nearest, cases, answers)
    shown = _of_other_answers(ordered)[:_SHOWN]
    if nearest > TOLERANCE:
        return Verdict("none", shown, len(tried), fitting, one_in)
    if len(rivals) > _MOST_COMPARED:
        return Verdict("several", shown, len(tried), fitting, one_in)
    groups = _by_effect(rivals, [case.image for case in cases])
    firsts = tuple(group[0] for group in groups)
    if len(groups) > 1:
        return Verdict("several", firsts, len(tried), fitting, one_in)
    if one_in * _BY_CHANCE < 1 and len(tried) > 1:
        return Verdict("by chance", firsts, len(tried), fitting, one_in)
    orders = {each.way.channels for each in groups[0]}
    return Verdict("found", firsts, len(tried), fitting, one_in, len(orders) > 1)


def other_order(tried: Sequence[Tried], case: Case) -> tuple[int, ...] | None:
    """In which order the author's classes, those of `case`, would fit a way; None where in none.

    The first is the index, in the author's numbers, of what the network gives first.
    """
    count = len(case.probabilities)
    if not 2 <= count <= _MOST_PERMUTED:
        return None
    reach = case.rounding + (TOLERANCE if count > 2 else _FARTHER * _NOISE)
    for order in permutations(range(count)):
        said = case.probabilities[list(order)]
        if any(np.abs(each.found - said).max() <= reach for each in tried):
            return order
    return None


def _chance(nearest: float, cases: Sequence[Case], answers: int) -> float:
    """How many of `answers`, drawn evenly from 0 to 1, would come as near as `nearest`."""
    expected = float(answers)
    for case in cases:
        sums_to_one = abs(case.probabilities.sum() - 1) < TOLERANCE + case.rounding
        free = len(case.probabilities) - sums_to_one
        expected *= min(1.0, 2 * (max(nearest, _NOISE) + case.rounding)) ** free
    return max(expected, 1e-300)


def _of_other_answers(ordered: Sequence[Tried]) -> tuple[Tried, ...]:
    """The first of `ordered` of each answer, in this order."""
    first: dict[bytes, Tried] = {}
    for each in ordered:
        first.setdefault(each.found.tobytes(), each)
    return tuple(first.values())


def _by_effect(rivals: Sequence[Tried], images: Sequence[Image.Image]) -> list[list[Tried]]:
    """`rivals`, put together where they make the same model input of all pictures."""
    pictures = [*images, *_drawn()]
    groups: list[tuple[list[NDArray[np.float32]], list[Tried]]] = []
    for each in rivals:
        inputs = [to_input(picture, each.way) for picture in pictures]
        for first, group in groups:
            if all(map(_are_alike, first, inputs)):
                group.append(each)
                break
        else:
            groups.append((inputs, [each]))
    return [group for _, group in groups]


def _are_alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return bool(np.abs(one - other).max() <= _SAME_INPUT * float(np.ptp(one)))


def _drawn() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (height, width), np.uint8)) for width, height in _SIZES
    ]
