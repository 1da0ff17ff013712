"""Resizing, held pixel for pixel against the library that each method is named after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from app.xray.contract import RESIZINGS, PictureContract
from app.xray.preprocess import seen_part, to_pixels
from benchmarks.rig.corpus.drawing import draw_radiograph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.contract.picture import Channels, Crop, Resize

SIZES = {
    "smaller": ((517, 389), (224, 224)),
    "much-smaller": ((1303, 1021), (64, 48)),
    "half": ((448, 300), (224, 150)),
    "a-third-and-a-quarter": ((450, 600), (150, 150)),
    "one-side-half": ((301, 300), (150, 150)),
    "by-a-pixel": ((513, 257), (512, 256)),
    "the-same": ((224, 224), (224, 224)),
    "larger": ((100, 90), (150, 200)),
    "one-side-larger": ((100, 1000), (224, 224)),
    "of-the-fewest-pixels": ((8, 3000), (64, 64)),
    "much-larger": ((8, 9), (299, 131)),
}
BY_PILLOW = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
BY_OPENCV = {
    "nearest-opencv": cv2.INTER_NEAREST,
    "bilinear-opencv": cv2.INTER_LINEAR,
    "area-opencv": cv2.INTER_AREA,
    "lanczos-opencv": cv2.INTER_LANCZOS4,
}
BY_TENSORFLOW = {
    f"{method}-tensorflow": method for method in ("nearest", "bilinear", "area", "bicubic")
}
by_sizes = pytest.mark.parametrize(("size", "target"), SIZES.values(), ids=SIZES.keys())
in_modes = pytest.mark.parametrize("mode", ["L", "RGB"])


def noise(mode: str, size: tuple[int, int]) -> Image.Image:
    """A picture of (height, width) in which every pixel is another: nothing is smoothed away."""
    shape = size if mode == "L" else (*size, 3)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def asked_for(resize: Any, target: tuple[int, int], **fields: Any) -> PictureContract:
    return PictureContract(resize=resize, input_size=target, scale=1.0, **fields)


def in_color(pixels: NDArray[Any]) -> NDArray[Any]:
    """What a library made of one channel, as three; three as they are."""
    height, width = pixels.shape[:2]
    return np.broadcast_to(pixels.reshape(height, width, -1), (height, width, 3))


def resized_by_opencv(image: Image.Image, target: tuple[int, int], method: int) -> NDArray[Any]:
    height, width = target
    return cv2.resize(np.asarray(image), (width, height), interpolation=method)


def resized_by_tensorflow(image: Image.Image, target: tuple[int, int], method: str) -> NDArray[Any]:
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    found: NDArray[Any] = tf.image.resize(pixels, target, method=method, antialias=False).numpy()
    return found


@by_sizes
@in_modes
@pytest.mark.parametrize("resize", BY_OPENCV)
def test_opencv_gives_the_same_levels(
    resize: str, mode: str, size: tuple[int, int], target: tuple[int, int]
) -> None:
    image = noise(mode, size)
    found = to_pixels(image, asked_for(resize, target))
    expected = resized_by_opencv(image, target, BY_OPENCV[resize])
    assert found.dtype == np.uint8
    assert np.array_equal(found, in_color(expected))


@by_sizes
@in_modes
def test_opencvs_bicubic_is_one_level_off_at_most(
    mode: str, size: tuple[int, int], target: tuple[int, int]
) -> None:
    image = noise(mode, size)
    found = to_pixels(image, asked_for("bicubic-opencv", target))
    expected = resized_by_opencv(image, target, cv2.INTER_CUBIC)
    apart = np.abs(found.astype(int) - in_color(expected))
    assert apart.max() <= 1
    # Without Intel's library OpenCV computes in fixed point, as it does for small pictures.
    is_exact = cv2.ipp.useIPP() and min(*size, *target) >= 64
    assert (apart > 0).mean() < (1e-3 if is_exact else 0.1)


@by_sizes
@in_modes
@pytest.mark.parametrize("resize", BY_TENSORFLOW)
def test_tensorflow_gives_the_same_numbers(
    resize: str, mode: str, size: tuple[int, int], target: tuple[int, int]
) -> None:
    image = noise(mode, size)
    found = to_pixels(image, asked_for(resize, target))
    expected = resized_by_tensorflow(image, target, BY_TENSORFLOW[resize])
    assert found.dtype == expected.dtype
    # What a compiler makes one operation of two rounds once less.
    assert np.abs(found - in_color(expected).astype(np.float64)).max() < 1e-3


@pytest.mark.parametrize("resize", [name for name in RESIZINGS if "tensorflow" in name])
@pytest.mark.parametrize("size", [(300, 517), (517, 300), (200, 200), (63, 301)], ids=str)
def test_tensorflows_methods_crop_as_smart_resize_does(
    resize: Resize, size: tuple[int, int]
) -> None:
    import keras

    image = noise("RGB", size)
    target = (96, 128)
    method = resize.removesuffix("-tensorflow")
    found = to_pixels(image, asked_for(resize, target, crop="fit"))
    expected = keras.preprocessing.image.smart_resize(
        np.asarray(image), target, interpolation=method
    )
    assert np.abs(found - np.asarray(expected, np.float64)).max() < 1e-3


@pytest.mark.parametrize("resize", BY_PILLOW)
@pytest.mark.parametrize("size", [(300, 517), (517, 300), (224, 224)], ids=str)
def test_pillows_methods_crop_as_image_ops_fit_does(resize: Any, size: tuple[int, int]) -> None:
    image = noise("RGB", size)
    found = to_pixels(image, asked_for(resize, (224, 224), crop="fit"))
    expected = ImageOps.fit(image, (224, 224), Image.Resampling[resize.upper()])
    assert np.array_equal(found, np.asarray(expected))


@pytest.mark.parametrize(
    ("size", "target", "box"),
    [
        pytest.param((300, 200), (100, 100), (50, 0, 250, 200), id="wide"),
        pytest.param((200, 300), (100, 100), (0, 50, 200, 250), id="high"),
        pytest.param((300, 200), (200, 300), (0, 0, 300, 200), id="of-its-aspect"),
        pytest.param((200, 200), (100, 50), (50, 0, 150, 200), id="narrower"),
    ],
)
def test_the_part_that_is_seen_is_the_one_that_is_cut_out(
    size: tuple[int, int], target: tuple[int, int], box: tuple[int, ...]
) -> None:
    contract = asked_for("nearest", target, crop="fit")
    assert seen_part(size, contract) == box
    image = Image.new("L", size)
    image.paste(255, tuple(map(round, seen_part(size, contract))))
    assert (to_pixels(image, contract) == 255).all()
    assert seen_part(size, asked_for("bilinear", target)) == (0, 0, *size)


@pytest.mark.parametrize("resize", RESIZINGS)
def test_blue_comes_first_where_the_contract_says_so(resize: Resize) -> None:
    image = noise("RGB", (90, 110))
    red_first = to_pixels(image, asked_for(resize, (64, 64)))
    blue_first = to_pixels(image, asked_for(resize, (64, 64), channels="bgr"))
    assert np.array_equal(blue_first, red_first[..., ::-1])
    assert not np.array_equal(blue_first, red_first)


@pytest.mark.parametrize("resize", RESIZINGS)
@pytest.mark.parametrize("mode", ["L", "1", "LA", "RGB", "RGBA", "P"])
def test_gray_is_one_channel_of_what_pillow_calls_gray(resize: Resize, mode: str) -> None:
    image = noise("RGB", (90, 110)).convert(mode)
    found = to_pixels(image, asked_for(resize, (64, 48), channels="gray"))
    assert found.shape == (64, 48, 1)
    of_gray = to_pixels(image.convert("L"), asked_for(resize, (64, 48)))
    assert np.array_equal(found, of_gray[..., :1])


@pytest.mark.parametrize("resize", RESIZINGS)
@pytest.mark.parametrize("channels", ["rgb", "bgr", "gray"])
def test_a_gray_film_is_the_same_in_every_channel(resize: Resize, channels: Channels) -> None:
    film = draw_radiograph(size=(300, 260))
    found = to_pixels(film, asked_for(resize, (100, 80), channels=channels))
    again = to_pixels(film.convert("RGB"), asked_for(resize, (100, 80), channels=channels))
    assert np.array_equal(found, again)
    assert np.array_equal(found, np.broadcast_to(found[..., :1], found.shape))


@pytest.mark.parametrize("resize", BY_PILLOW)
@pytest.mark.parametrize("crop", ["none", "fit"])
@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_a_gray_picture_gives_what_its_copy_in_color_gives(
    resize: Any, crop: Crop, mode: str
) -> None:
    image = noise("RGB", (130, 110)).convert(mode)
    contract = asked_for(resize, (64, 48), crop=crop)
    found = to_pixels(image, contract)
    assert found.shape == (64, 48, 3)
    assert np.array_equal(found, to_pixels(image.convert("RGB"), contract))
