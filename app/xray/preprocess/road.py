"""A file or a picture -> model input, as its contract says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.xray.decode import MAX_PIXELS, decode
from app.xray.preprocess.resize import to_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from app.xray.contract import PictureContract
    from app.xray.decode.radiograph import Radiograph

_DEVIATION_FLOOR: Final = np.float32(1e-6)
"""Added to a picture's standard deviation, as Keras does it."""


def rescale(
    pixels: NDArray[np.uint8] | NDArray[np.float32], contract: PictureContract
) -> NDArray[np.float32]:
    """Model input in float32 of pixels (..., height, width, channels), 0 to 255, same shape.

    Pixels x scale + offset, less the picture's mean and by its deviation where the contract says
    so: one picture or a batch, of which each is taken by itself. The product is taken in float32:
    x * (1/255) and x / 255 differ in the last bit for 126 of the 256 levels.
    """
    scaled = _scaled(pixels, contract)
    if contract.per_picture == "none":
        return scaled
    scaled -= scaled.mean(axis=(-3, -2, -1), keepdims=True)
    if contract.per_picture == "standardize":
        scaled /= scaled.std(axis=(-3, -2, -1), keepdims=True) + _DEVIATION_FLOOR
    return scaled


def to_levels(inputs: NDArray[np.float32], contract: PictureContract) -> NDArray[np.uint8]:
    """The pixels that `rescale` made `inputs` of, as RGB: uint8 (n, height, width, 3).

    `inputs` are (n, height, width, channels); levels are rounded as `to_rgb` does it. Where each
    picture was centred or standardized its levels are lost: its own range is taken for the whole.
    """
    if contract.per_picture == "none":
        scale, offset = (np.array(it, np.float32) for it in (contract.scale, contract.offset))
        levels = (inputs - offset) / scale
    else:
        low = inputs.min(axis=(1, 2, 3), keepdims=True)
        reach = np.maximum(np.ptp(inputs, axis=(1, 2, 3), keepdims=True), _DEVIATION_FLOOR)
        levels = (inputs - low) * (255 / reach)
    return to_rgb(levels, contract)


def to_rgb(pixels: NDArray[Any], contract: PictureContract) -> NDArray[np.uint8]:
    """What `to_pixels` gave, (..., height, width, channels) of 0 to 255, as RGB: uint8 (..., 3).

    Numbers are rounded, and what is no level is black or white.
    """
    levels: NDArray[np.uint8] = np.rint(np.clip(np.nan_to_num(pixels), 0, 255)).astype(np.uint8)
    if contract.channels == "gray":
        return np.repeat(levels, 3, axis=-1)
    return levels[..., ::-1] if contract.channels == "bgr" else levels


def can_be_turned(contract: PictureContract) -> bool:
    """Whether `negative` can be told from the model input alone.

    Not where pictures are standardized whose channels have not one scale and offset: their negative
    has another deviation.
    """
    ends = _ends(contract)
    return contract.per_picture != "standardize" or bool(np.all(ends == ends[0]))


def negative(inputs: NDArray[np.float32], contract: PictureContract) -> NDArray[np.float32]:
    """The model input of the same pictures with black for white, of the shape of `inputs`.

    Raises:
        ValueError: that cannot be told, see `can_be_turned`.
    """
    if not can_be_turned(contract):
        raise ValueError("standardized channels of several scales: no negative without the picture")
    ends = _ends(contract)
    if contract.per_picture != "none":
        ends = ends - ends.mean(dtype=np.float32)
    turned: NDArray[np.float32] = ends - inputs
    return turned


def decode_for(
    data: bytes, contract: PictureContract, *, max_pixels: int = MAX_PIXELS
) -> Radiograph:
    """As `app.xray.decode.decode`; a JPEG only as large as `contract` needs it, if it says so."""
    least_side = max(contract.input_size) if contract.decode == "scaled" else None
    return decode(data, max_pixels=max_pixels, least_side=least_side)


def to_input(image: Image.Image, contract: PictureContract) -> NDArray[np.float32]:
    """A decoded picture -> model input, float32 of shape (height, width, channels)."""
    return rescale(to_pixels(image, contract), contract)


def preprocess(
    data: bytes, contract: PictureContract, *, max_pixels: int = MAX_PIXELS
) -> NDArray[np.float32]:
    """The whole road for one file: bytes -> float32 of shape (height, width, channels).

    Raises what `decode.decode` raises.
    """
    return to_input(decode_for(data, contract, max_pixels=max_pixels).image, contract)


def _scaled(pixels: NDArray[Any], contract: PictureContract) -> NDArray[np.float32]:
    scale, offset = (np.array(it, np.float32) for it in (contract.scale, contract.offset))
    scaled: NDArray[np.float32] = pixels.astype(np.float32) * scale
    return scaled + offset if offset.any() else scaled


def _ends(contract: PictureContract) -> NDArray[np.float32]:
    """Of each channel the input of black and that of white, added: float32 (channels,)."""
    *_, channels = contract.input_shape
    black, white = _scaled(np.repeat([[0], [255]], channels, axis=1), contract)
    ends: NDArray[np.float32] = black + white
    return ends
