"""How a network answers, its input made in each of many ways, beside its author's numbers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from app.xray.preprocess import rescale, to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from app.xray.contract import PictureContract

    Run = Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]
    """From one model input, (height, width, channels), to probabilities, (classes,)."""


class Case(NamedTuple):
    """A picture with its author's probabilities, (classes,), each rounded by up to `rounding`."""

    image: Image.Image
    probabilities: NDArray[np.float64]
    rounding: float


class Tried(NamedTuple):
    """A way, and how far its probabilities lie from the author's, rounding apart, at most."""

    way: PictureContract
    difference: float
    found: NDArray[np.float64]
    """What the network says of the first picture, (classes,)."""


class Search:
    """Runs a network, `run`, on `cases`; never twice on the same input."""

    HOPELESS = 0.05
    """A way that is this far off one picture is not tried on the next."""

    def __init__(self, cases: Sequence[Case], run: Run) -> None:
        self.cases = cases
        self._run = run
        self._pixels: dict[tuple[object, ...], tuple[NDArray[Any], bytes]] = {}
        self._answers: dict[tuple[object, ...], NDArray[np.float64]] = {}

    @property
    def answers(self) -> int:
        """How many inputs the network was run on."""
        return len(self._answers)

    def try_all(
        self, ways: Iterable[PictureContract], on_step: Callable[[], None] = lambda: None
    ) -> list[Tried]:
        """Each of `ways`, in their order; `on_step` is called after each."""
        tried = []
        for way in ways:
            tried.append(self._try(way))
            on_step()
        return tried

    def _try(self, way: PictureContract) -> Tried:
        found = self._answer(0, way)
        difference = max(0.0, self._off(0, found))
        for number in range(1, len(self.cases)):
            if difference > self.HOPELESS:
                break
            difference = max(difference, self._off(number, self._answer(number, way)))
        return Tried(way, difference, found)

    def _off(self, number: int, answer: NDArray[np.float64]) -> float:
        case = self.cases[number]
        off = np.abs(answer - case.probabilities).max()
        return float(off) - case.rounding if np.isfinite(off) else float("inf")

    def _answer(self, number: int, way: PictureContract) -> NDArray[np.float64]:
        place = number, way.channels, way.crop, way.resize
        if place not in self._pixels:
            pixels = to_pixels(self.cases[number].image, way)
            self._pixels[place] = pixels, hashlib.sha256(pixels.tobytes()).digest()
        pixels, digest = self._pixels[place]
        key = number, digest, way.scale, way.offset, way.per_picture
        if key not in self._answers:
            self._answers[key] = np.asarray(self._run(rescale(pixels, way)), np.float64)
        return self._answers[key]
