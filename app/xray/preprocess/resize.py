"""A picture -> pixels of the size and channels that a contract asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, ImageOps

from app.xray.preprocess import opencv, tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from app.xray.contract import PictureContract

    Pixels = NDArray[np.uint8] | NDArray[np.float32]

_BY_LIBRARY: Final[dict[str, Callable[[NDArray[np.uint8], int, int], NDArray[Any]]]] = {
    "nearest-opencv": opencv.nearest,
    "bilinear-opencv": opencv.bilinear,
    "area-opencv": opencv.area,
    "bicubic-opencv": opencv.bicubic,
    "lanczos-opencv": opencv.lanczos,
    "nearest-tensorflow": tensorflow.nearest,
    "bilinear-tensorflow": tensorflow.bilinear,
    "area-tensorflow": tensorflow.area,
    "bicubic-tensorflow": tensorflow.bicubic,
}
"""Functions of pixels (height, width, channels), and of the height and width to make of them."""
_GRAY_MODES: Final = frozenset({"1", "L", "LA"})
"""Of Pillow: pictures whose channels would all be alike, which is one resizing instead of three."""


def to_pixels(image: Image.Image, contract: PictureContract) -> Pixels:
    """Cropped, resized, its channels as `contract` has them: (height, width, channels).

    uint8, 0 to 255, but for TensorFlow's methods other than nearest: float32, which "bicubic" may
    lead out of 0 to 255. Alpha is dropped.

    For the nearest-neighbour contract this is, bit for bit, what Keras' `load_img` gives with
    `color_mode="rgb"` and `interpolation="nearest"`: the aspect is not kept.
    """
    by_library = _BY_LIBRARY.get(contract.resize)
    if by_library is None:
        pixels = _by_pillow(image, contract)
    else:
        pixels = by_library(_cropped(_to_array(image, contract), contract), *contract.input_size)
    if contract.channels == "bgr":
        pixels = pixels[..., ::-1]
    if pixels.shape != contract.input_shape:  # one channel where the network has three
        pixels = np.concatenate([pixels] * contract.input_shape[2], axis=2)
    return np.ascontiguousarray(pixels)


def seen_part(
    size: tuple[int, int], contract: PictureContract
) -> tuple[float, float, float, float]:
    """Which part of a picture of `size` (width, height) the network sees, in its pixels.

    As Pillow has a box: left, top, right, bottom. All of it, unless `contract` crops.
    """
    width, height = size
    target_height, target_width = contract.input_size
    if contract.crop == "none":
        return 0, 0, width, height
    across = min(width, height * target_width / target_height)
    down = min(height, width * target_height / target_width)
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, left + across, top + down


def to_image(levels: NDArray[np.uint8], contract: PictureContract) -> Image.Image:
    """What the network sees as a picture for a person: uint8 (height, width, channels)."""
    if contract.channels == "gray":
        return Image.fromarray(levels[..., 0])
    return Image.fromarray(levels[..., ::-1].copy() if contract.channels == "bgr" else levels)


def _by_pillow(image: Image.Image, contract: PictureContract) -> NDArray[np.uint8]:
    height, width = contract.input_size
    resample = Image.Resampling[contract.resize.upper()]
    mode = _mode(image, contract)
    if contract.crop == "fit":
        image = ImageOps.fit(image.convert(mode), (width, height), resample)
    elif resample is Image.Resampling.NEAREST:
        # The same pixels in either order, and so far fewer of them to convert.
        image = image.resize((width, height), resample).convert(mode)
    else:
        image = image.convert(mode).resize((width, height), resample)
    return np.asarray(image).reshape(height, width, -1)


def _mode(image: Image.Image, contract: PictureContract) -> str:
    """Pillow's mode to resize in: one channel where all would be alike."""
    return "L" if contract.channels == "gray" or image.mode in _GRAY_MODES else "RGB"


def _to_array(image: Image.Image, contract: PictureContract) -> NDArray[np.uint8]:
    """uint8 (height, width, channels), one channel where all would be alike."""
    pixels = np.asarray(image.convert(_mode(image, contract)))
    return pixels.reshape(image.height, image.width, -1)


def _cropped(pixels: NDArray[np.uint8], contract: PictureContract) -> NDArray[np.uint8]:
    """As Keras' `smart_resize` crops, where the contract says "fit"."""
    if contract.crop == "none":
        return pixels
    (height, width), (target_height, target_width) = pixels.shape[:2], contract.input_size
    kept_height = min(height, int(width * target_height / target_width))
    kept_width = min(width, int(height * target_width / target_height))
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return pixels[top : top + kept_height, left : left + kept_width]
