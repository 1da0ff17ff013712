"""Films as they come from elsewhere, films as they should not come, and strangers in many forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw

from training.data.augment import augment
from training.evaluation.gate.strangers import hard_cases
from training.recipes.config import AugmentConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

ELSEWHERE: Final = AugmentConfig(
    rotation_degrees=15, shift=0.08, zoom=0.18, stretch=0.12, brightness=0.1, contrast=0.25,
    gamma=0.5, blur=0.2, noise=0.3, film_border=0.35,
)  # fmt: skip
"""What another hospital's films may have done to them, a bedside film's tilt with it."""
COLLIMATED: Final = 0.3
"""How often such a film is collimated anew."""
_FIELD: Final = 0.14
"""How far in from its corner of the picture a corner of the field lies at most, as a share."""
_SCATTERED: Final = 0.1
"""What is left of the film's levels outside the field, if anything is."""
ANYHOW: Final = AugmentConfig(
    rotation_degrees=15, shift=0.1, zoom=0.25, stretch=0.2, brightness=0.1, contrast=0.2,
    gamma=0.5, film_border=0.3,
)  # fmt: skip
"""What may have been done to a picture of something else."""


def from_elsewhere(film: Picture, rng: np.random.Generator) -> Picture:
    """The film, uint8 (height, width, 3), as another hospital may have made it."""
    changed = _changed(film, ELSEWHERE, rng)
    return _collimate(changed, rng) if rng.random() < COLLIMATED else changed


def gone_wrong(film: Picture, rng: np.random.Generator) -> Picture:
    """The film as it should not come, see `hard_cases`: every kind is as likely."""
    kinds = list(hard_cases([Image.fromarray(from_elsewhere(film, rng))]).values())
    images = kinds[rng.integers(len(kinds))]
    image = images[rng.integers(len(images))]
    return np.asarray(image.resize((film.shape[1], film.shape[0]), Image.Resampling.BILINEAR))


def forms_of(stranger: Picture, count: int, rng: np.random.Generator) -> list[Picture]:
    """The stranger, uint8 (height, width, 3), in so many forms, every other one a negative.

    The first two are itself and its negative; of the others one in three is turned by a quarter or
    more. Half of all are mirrored, the first two aside.
    """
    found = []
    for number in range(count):
        form = stranger
        if number > 1:
            form = _changed(form, ANYHOW, rng)
            form = form[:, ::-1] if rng.random() < 0.5 else form
        if number % 6 >= 4:
            form = np.rot90(form, int(rng.integers(1, 4)))
        found.append(np.ascontiguousarray(255 - form if number % 2 else form))
    return found


def _collimate(film: Picture, rng: np.random.Generator) -> Picture:
    """The film dark outside of a quadrilateral, which need not stand upright."""
    height, width = film.shape[:2]
    across, down = rng.uniform(0, _FIELD, (2, 4)) * np.array([[width], [height]])
    corners = [
        (across[0], down[0]),
        (width - across[1], down[1]),
        (width - across[2], height - down[2]),
        (across[3], height - down[3]),
    ]
    field = Image.new("L", (width, height))
    ImageDraw.Draw(field).polygon([(float(x), float(y)) for x, y in corners], fill=1)
    outside = film * (_SCATTERED * rng.integers(2)) + rng.choice([0, 0, 10, 30])
    shown = np.where(np.asarray(field)[:, :, None] == 1, film, outside)
    collimated: Picture = np.rint(shown.clip(0, 255)).astype(np.uint8)
    return collimated


def _changed(picture: Picture, config: AugmentConfig, rng: np.random.Generator) -> Picture:
    changed: Picture = np.rint(augment(picture, config, rng, lambda: picture)).astype(np.uint8)
    return changed
