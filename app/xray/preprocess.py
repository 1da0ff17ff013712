"""An 8-bit picture -> model input. The only place that resizes or rescales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from app.xray.decode import MAX_PIXELS, decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.contract import ModelContract
    from app.xray.decode.radiograph import Radiograph


def to_pixels(image: Image.Image, contract: ModelContract) -> NDArray[np.uint8]:
    """Resize and convert to RGB: uint8 of shape (height, width, 3), 0 to 255.

    For the nearest-neighbour contract this is, bit for bit, what Keras' `load_img` gives with
    `color_mode="rgb"` and `interpolation="nearest"`: the aspect is not kept, alpha is dropped.
    """
    height, width = contract.input_size
    resample = Image.Resampling[contract.resize.upper()]
    if resample is Image.Resampling.NEAREST:
        # The same pixels in either order, and so far fewer of them to convert.
        image = image.resize((width, height), resample).convert("RGB")
    else:
        image = image.convert("RGB").resize((width, height), resample)
    return np.asarray(image)


def rescale(
    pixels: NDArray[np.uint8] | NDArray[np.float32], contract: ModelContract
) -> NDArray[np.float32]:
    """Model input in float32, pixels x scale + offset, of the shape of `pixels`.

    `pixels` run from 0 to 255, one picture or a batch. The product is taken in float32:
    x * (1/255) and x / 255 differ in the last bit for 126 of the 256 levels.
    """
    scaled = pixels.astype(np.float32) * np.float32(contract.scale)
    return scaled + np.float32(contract.offset) if contract.offset else scaled


def negative(inputs: NDArray[np.float32], contract: ModelContract) -> NDArray[np.float32]:
    """The model input of the same pictures with black for white, of the shape of `inputs`."""
    black, white = rescale(np.array([0, 255], np.uint8), contract)
    turned: NDArray[np.float32] = (black + white) - inputs
    return turned


def decode_for(data: bytes, contract: ModelContract, *, max_pixels: int = MAX_PIXELS) -> Radiograph:
    """As `app.xray.decode.decode`; a JPEG only as large as `contract` needs it, if it says so."""
    least_side = max(contract.input_size) if contract.decode == "scaled" else None
    return decode(data, max_pixels=max_pixels, least_side=least_side)


def to_input(image: Image.Image, contract: ModelContract) -> NDArray[np.float32]:
    """A decoded picture -> model input, float32 of shape (height, width, 3)."""
    return rescale(to_pixels(image, contract), contract)


def preprocess(
    data: bytes, contract: ModelContract, *, max_pixels: int = MAX_PIXELS
) -> NDArray[np.float32]:
    """The whole road for one file: bytes -> float32 of shape (height, width, 3).

    Raises what `decode.decode` raises.
    """
    return to_input(decode_for(data, contract, max_pixels=max_pixels).image, contract)
