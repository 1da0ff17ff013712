"""Pictures to try a network on where it was made another of, and how near the two must come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.contract import ModelContract

TOLERANCE: Final = 1e-3
"""How far a probability may lie from the reference's."""
_PROBES: Final = 8


def draw_probes(contract: ModelContract) -> NDArray[np.uint8]:
    """X-ray-like pictures: uint8 (n, height, width, channels) of 0 to 255.

    Two dark lungs on a bright chest, under a texture whose power falls with the third power of
    frequency, as a radiograph's does (Burgess et al. 2001, Med. Phys. 28, 419).
    """
    height, width, channels = contract.input_shape
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = np.inf
    pictures = np.empty((_PROBES, height, width, channels), np.uint8)
    for picture in pictures:
        spectrum = np.fft.fft2(rng.normal(size=(height, width))) / frequency**1.5
        texture = np.fft.ifft2(spectrum).real
        center, breadth, depth = rng.uniform([0.4, 0.25, 0.1], [0.5, 0.35, 0.5])
        lungs = np.exp(-((((np.abs(x) - center) / breadth) ** 2 + (y / 0.7) ** 2) ** 2))
        levels = 0.65 - depth * lungs + 0.1 * texture / texture.std()
        picture[...] = (levels.clip(0, 1) * 255).round()[..., None]
    return pictures
