"""Films for the zoo: drawn, as files of the kinds and sizes that public data sets have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from benchmarks.rig.corpus.drawing import draw_radiograph

if TYPE_CHECKING:
    from pathlib import Path

COUNT: Final = 12
"""The first is the one that its author gives his numbers for, the others hold the service."""


def draw_pictures(folder: Path, kinds: tuple[str, ...] = ("jpg", "png", "png")) -> list[Path]:
    """Twelve films, gray and RGB, of other sizes and exposures each: files of `kinds` in turn."""
    rng = np.random.default_rng(11)
    paths = []
    for number in range(COUNT):
        size = tuple(int(side) for side in rng.integers(330, 720, 2))
        levels = np.asarray(draw_radiograph(number, (size[0], size[1]), unlike=0.05)) / 255
        exposure, contrast = rng.uniform([0.6, 0.5], [1.6, 1.0])
        levels = (levels**exposure - 0.5) * contrast + 0.5
        image = Image.fromarray((levels.clip(0, 1) * 255).round().astype(np.uint8))
        path = folder / f"film-{number:02}.{kinds[number % len(kinds)]}"
        (image.convert("RGB") if number % 4 == 1 else image).save(path, quality=92)
        paths.append(path)
    return paths


def tint(path: Path, out: Path) -> Path:
    """The same film as a scanner with a bad lamp gives it: red is brighter than blue."""
    levels = np.asarray(Image.open(path).convert("L"), np.float32)
    colors = np.stack([levels * 0.95 + 12, levels * 0.9, levels * 0.8], axis=-1)
    Image.fromarray(colors.clip(0, 255).astype(np.uint8)).save(out)
    return out
