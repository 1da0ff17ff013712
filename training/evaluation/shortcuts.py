"""What a network may have learned instead of the lungs.

In public COVID sets class and source are entangled, and networks have scored well on pictures
without any lung: Maguolo and Nanni 2020, "A Critic Evaluation of Methods for COVID-19 Automatic
Detection from X-Ray Images" (arXiv:2004.12823), who turned the centre of each scan black; DeGrave
et al. 2021, "AI for radiographic COVID-19 detection selects shortcuts over signal" (Nature Machine
Intelligence 3, 610-619).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFilter

from training.data.augment import Change, apply_change
from training.evaluation.metrics import accuracy, estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from app.xray.contract import Estimate
    from training.evaluation.metrics import Probabilities

    Pixels = NDArray[np.uint8]
    Alter = Callable[[Pixels], NDArray[np.float32]]
    """Takes and gives one picture (height, width, 3), 0 to 255."""
    Predict = Callable[[NDArray[np.uint8] | NDArray[np.float32]], Probabilities]

LUNGS_TOP: Final = 6
LUNGS_BOTTOM: Final = 90
LUNGS_LEFT: Final = 5
LUNGS_RIGHT: Final = 95
"""The rectangle that is blacked out, in hundredths of the sides."""

BORDER: Final = 4
"""The width of the frame that is kept, in hundredths of the sides."""

GRAIN: Final = 5
"""Standard deviation of the noise that is added, in levels of 255."""

SOFTNESS: Final = 0.7
"""Standard deviation of the Gaussian that blurs, in pixels as the network sees them."""


@dataclass(frozen=True)
class Agreement:
    """What becomes of the answers when every picture is changed in one way.

    `same` is the share of pictures whose likeliest class stays; `drift`, 0 to 1, the mean absolute
    change of the probability of the class that was likeliest before.
    """

    pictures: int
    same: Estimate
    drift: float


def black_out_lungs(pixels: Pixels) -> Pixels:
    """A copy with the lungs black: uint8 (n, height, width, channels), as the network sees.

    The rectangle from 6 to 90 % of the height and 5 to 95 % of the width covers the lungs of nearly
    all radiographs; by eye, only of the most tightly cropped does the outermost margin show. What
    is left is a quarter: shoulders, upper abdomen, skin, air, and what was written there.

    Raises:
        ValueError: the pixels have another shape or type.
    """
    _check_pixels(pixels)
    height, width = pixels.shape[1:3]
    masked = pixels.copy()
    masked[
        :,
        height * LUNGS_TOP // 100 : _round_up(height * LUNGS_BOTTOM),
        width * LUNGS_LEFT // 100 : _round_up(width * LUNGS_RIGHT),
    ] = 0
    return masked


def keep_border(pixels: Pixels) -> Pixels:
    """A copy in which all but the outermost frame is black: uint8 (n, height, width, channels).

    The frame is 4 % of the sides wide, 9 pixels of 224: letters, collimation and the scanner's
    edge, and too little of anybody to answer from.

    Raises:
        ValueError: the pixels have another shape or type.
    """
    _check_pixels(pixels)
    height, width = pixels.shape[1:3]
    down, across = _round_up(height * BORDER), _round_up(width * BORDER)
    masked = pixels.copy()
    masked[:, down : height - down, across : width - across] = 0
    return masked


def add_grain(picture: Pixels) -> NDArray[np.float32]:
    """The picture with noise that is the same in every channel, and for every picture."""
    grain = np.random.default_rng(0).normal(0, GRAIN, (*picture.shape[:2], 1))
    return np.clip(picture + grain.astype(np.float32), 0, 255)


def soften(picture: Pixels) -> NDArray[np.float32]:
    """The picture a little less sharp."""
    channels = (Image.fromarray(np.ascontiguousarray(one)) for one in np.moveaxis(picture, 2, 0))
    softer = [channel.filter(ImageFilter.GaussianBlur(SOFTNESS)) for channel in channels]
    return np.stack([np.asarray(channel) for channel in softer], axis=2).astype(np.float32)


def _by(**change: float) -> Alter:
    return partial(apply_change, change=Change(**change))


CHANGES: Final[Mapping[str, Alter]] = {
    "moved right by 4 %": _by(across=0.04),
    "moved left by 4 %": _by(across=-0.04),
    "moved up by 4 %": _by(down=-0.04),
    "moved down by 4 %": _by(down=0.04),
    "turned clockwise by 5°": _by(rotation_degrees=5),
    "turned anticlockwise by 5°": _by(rotation_degrees=-5),
    "10 % brighter": _by(brightness=0.1),
    "10 % darker": _by(brightness=-0.1),
    "with a little grain": add_grain,
    "a little less sharp": soften,
}
"""Changes that alter nothing about the patient."""


def agreement_under_changes(
    pixels: Pixels,
    predict: Predict,
    changes: Mapping[str, Alter] = CHANGES,
    *,
    chunk: int = 64,
) -> dict[str, Agreement]:
    """For each change by its name, how far the answers stay what they were.

    `pixels` is uint8 (n, height, width, channels). `predict` gets at most `chunk` of them at once,
    uint8 as they are or float32 changed, 0 to 255 and not yet rescaled, and gives finite
    probabilities, float64 (chunk, classes). The memory taken beside `pixels` does not grow with n.

    Raises:
        ValueError: the pixels have another shape or type or are none; `chunk` is not positive.
    """
    _check_pixels(pixels)
    if not len(pixels) or chunk < 1:
        raise ValueError("expected at least one picture, and chunks of at least one")
    parts = [pixels[start : start + chunk] for start in range(0, len(pixels), chunk)]
    before = np.concatenate([predict(part) for part in parts])
    likeliest = before.argmax(axis=1)
    of_likeliest = np.arange(len(before)), likeliest
    found = {}
    for name, alter in changes.items():
        after = np.concatenate(
            [predict(np.stack([alter(picture) for picture in part])) for part in parts]
        )
        found[name] = Agreement(
            pictures=len(pixels),
            same=estimate(accuracy, likeliest, after),
            drift=float(np.abs(after[of_likeliest] - before[of_likeliest]).mean()),
        )
    return found


def _check_pixels(pixels: Pixels) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
        raise ValueError(
            f"expected uint8 (n, height, width, 1 or 3), found {pixels.dtype} {pixels.shape}"
        )


def _round_up(hundredths: int) -> int:
    return -(-hundredths // 100)
