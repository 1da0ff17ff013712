"""How authors prepare a picture, in the library that each uses: a file to a float32 input.

Nothing here calls the project's own road: it is what that road is held against.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Input = NDArray[np.float32]
    Prepare = Callable[[Path], Input]
    Finish = Callable[[Input], Input]


def as_it_is(pixels: Input) -> Input:
    return pixels


def by(divisor: float, less: float = 0.0) -> Finish:
    """Pixels divided by `divisor`, less `less`."""

    def finish(pixels: Input) -> Input:
        return np.asarray(pixels / divisor - less, np.float32)

    return finish


def preprocess_input(family: str) -> Finish:
    """The function of that name of `keras.applications`: caffe, tf or torch by `family`."""

    def finish(pixels: Input) -> Input:
        import tf_keras

        of_family = getattr(tf_keras.applications, family)
        return np.asarray(of_family.preprocess_input(pixels.copy()), np.float32)

    return finish


def generator(**options: Any) -> Finish:
    """What an ImageDataGenerator of these options makes of a picture."""

    def finish(pixels: Input) -> Input:
        import tf_keras

        made = tf_keras.preprocessing.image.ImageDataGenerator(**options)
        return np.asarray(made.standardize(pixels.copy()), np.float32)

    return finish


def per_image_standardization(pixels: Input) -> Input:
    import tensorflow as tf

    return np.asarray(tf.image.per_image_standardization(pixels))


def opencv(
    side: int,
    finish: Finish,
    *,
    interpolation: int = cv2.INTER_LINEAR,
    to_rgb: bool = False,
    gray: bool = False,
    scaled_first: bool = False,
) -> Prepare:
    """`cv2.imread` and `cv2.resize`; in blue, green, red unless turned."""

    def prepare(path: Path) -> Input:
        pixels: Any = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR)
        if to_rgb:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        if scaled_first:
            pixels = finish(pixels.astype(np.float32))
        pixels = cv2.resize(pixels, (side, side), interpolation=interpolation)
        pixels = pixels.reshape(side, side, -1).astype(np.float32)
        return pixels if scaled_first else finish(pixels)

    return prepare


def load_img(
    side: int, finish: Finish, *, interpolation: str = "nearest", gray: bool = False
) -> Prepare:
    """`load_img` and `img_to_array` of Keras, as `flow_from_directory` has them."""

    def prepare(path: Path) -> Input:
        import tf_keras

        image = tf_keras.utils.load_img(
            path,
            color_mode="grayscale" if gray else "rgb",
            target_size=(side, side),
            interpolation=interpolation,
        )
        return finish(tf_keras.utils.img_to_array(image))

    return prepare


def tensorflow(
    side: int,
    finish: Finish,
    *,
    method: str = "bilinear",
    channels: int = 3,
    antialias: bool = False,
) -> Prepare:
    """`tf.io.decode_image` and `tf.image.resize`, as image_dataset_from_directory has them."""

    def prepare(path: Path) -> Input:
        import tensorflow as tf

        pixels = tf.io.decode_image(
            tf.io.read_file(str(path)), channels=channels, expand_animations=False
        )
        resized = tf.image.resize(pixels, (side, side), method=method, antialias=antialias)
        return finish(np.asarray(resized, np.float32))

    return prepare


def pillow(
    side: int,
    finish: Finish,
    *,
    resample: Image.Resampling = Image.Resampling.BICUBIC,
    mode: str = "RGB",
) -> Prepare:
    """`Image.open`, `convert` and `resize`."""

    def prepare(path: Path) -> Input:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert(mode).resize((side, side), resample), np.float32)
        return finish(pixels.reshape(side, side, -1))

    return prepare


def fitted(side: int, finish: Finish) -> Prepare:
    """Teachable Machine's example: `ImageOps.fit` with Lanczos."""

    def prepare(path: Path) -> Input:
        with Image.open(path) as image:
            square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
        return finish(np.asarray(square, np.float32))

    return prepare


def equalized(side: int, finish: Finish) -> Prepare:
    """Contrast-limited adaptive histogram equalization first, which no contract can say."""
    plain = partial(cv2.resize, dsize=(side, side))

    def prepare(path: Path) -> Input:
        levels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        levels = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(levels)
        pixels = np.repeat(plain(levels)[..., None], 3, axis=-1)
        return finish(pixels.astype(np.float32))

    return prepare
