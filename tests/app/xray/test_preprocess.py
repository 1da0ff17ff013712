from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from PIL import Image

from app.xray.contract import ModelContract, PictureContract
from app.xray.decode import MIN_SIDE, decode
from app.xray.errors import TooManyPixels, UnusableImage
from app.xray.preprocess import (
    can_be_turned,
    decode_for,
    negative,
    preprocess,
    rescale,
    to_input,
    to_levels,
    to_pixels,
)
from benchmarks.rig.corpus.drawing import draw_radiograph, encode

if TYPE_CHECKING:
    from pathlib import Path


def colored() -> Image.Image:
    """Three different pictures as the channels of one."""
    return Image.merge("RGB", [draw_radiograph(seed, (517, 389)) for seed in (1, 2, 3)])


def with_alpha(mode: str) -> Image.Image:
    image = colored().convert(mode)
    image.putalpha(draw_radiograph(4, image.size))
    return image


def transparent_palette() -> bytes:
    return encode(colored().quantize(64), transparency=3)


FILES: dict[str, bytes] = {
    "png-1-bit": encode(draw_radiograph(size=(301, 257)).convert("1")),
    "png-gray": encode(draw_radiograph(size=(512, 512))),
    "png-gray-smaller-than-the-input": encode(draw_radiograph(size=(100, 90))),
    "png-gray-of-the-input-size": encode(draw_radiograph(size=(224, 224))),
    "png-gray-alpha": encode(with_alpha("LA")),
    "png-rgb": encode(colored()),
    "png-rgba": encode(with_alpha("RGBA")),
    "png-palette": encode(colored().quantize(64)),
    "png-palette-transparent": transparent_palette(),
    "jpeg-gray": encode(draw_radiograph(size=(1024, 1024)), "JPEG"),
    "jpeg-gray-large": encode(draw_radiograph(size=(2048, 1999)), "JPEG"),
    "jpeg-rgb": encode(colored(), "JPEG", quality=85),
    "jpeg-rgb-progressive": encode(colored(), "JPEG", progressive=True),
    "jpeg-cmyk": encode(colored().convert("CMYK"), "JPEG"),
    "jpeg-of-the-least-size": encode(draw_radiograph(size=(MIN_SIDE, MIN_SIDE)), "JPEG"),
    "png-of-the-fewest-rows": encode(draw_radiograph(size=(3000, MIN_SIDE))),
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_the_default_contract_gives_keras_own_pixels_bit_for_bit(
    data: bytes, tmp_path: Path, contract: ModelContract
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(data)
    loaded = keras.utils.load_img(
        path, color_mode="rgb", target_size=(224, 224), interpolation="nearest"
    )
    expected = keras.utils.img_to_array(loaded, dtype="float32") * np.float32(1 / 255)
    found = preprocess(data, contract)
    assert found.dtype == np.float32
    assert found.shape == (224, 224, 3)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("interpolation", ["box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("name", ["png-rgb", "jpeg-gray", "png-palette", "png-rgba", "png-1-bit"])
def test_other_interpolations_are_keras_own_too(
    name: str, interpolation: Any, tmp_path: Path, contract: ModelContract
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(FILES[name])
    expected = keras.utils.load_img(
        path, color_mode="rgb", target_size=(224, 224), interpolation=interpolation
    )
    chosen = contract.model_copy(update={"resize": interpolation})
    assert np.array_equal(to_pixels(decode(FILES[name]).image, chosen), np.asarray(expected))


def test_the_contract_sets_size_scale_and_offset(png: bytes) -> None:
    contract = ModelContract(
        classes=("A", "B"),
        input_size=(64, 48),
        resize="nearest",
        scale=1 / 127.5,
        offset=-1.0,
    )
    found = preprocess(png, contract)
    assert found.shape == (64, 48, 3)
    pixels = to_pixels(decode(png).image, contract).astype(np.float64)
    assert np.abs(found - (pixels / 127.5 - 1)).max() < 1e-6
    assert found.min() < 0


def test_every_level_is_rescaled_by_one_product(contract: ModelContract) -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(
        rescale(levels, contract), levels.astype(np.float32) * np.float32(1 / 255)
    )


def test_16_bit_gray_keeps_its_contrast(contract: ModelContract) -> None:
    twelve_bits = np.asarray(draw_radiograph()).astype(np.uint16) * 16
    found = preprocess(encode(Image.fromarray(twelve_bits)), contract)
    assert found.min() == 0
    assert found.max() > 0.9
    assert len(np.unique(found)) > 100


def test_what_cannot_be_decoded_is_not_preprocessed(png: bytes, contract: ModelContract) -> None:
    with pytest.raises(UnusableImage):
        preprocess(png[: len(png) // 2], contract)


SCALED = ModelContract(
    classes=("A", "B"), input_size=(224, 224), resize="box", decode="scaled", scale=1 / 255
)
FULL = SCALED.model_copy(update={"decode": "full"})


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        pytest.param((300, 290), (300, 290), id="not-twice-as-large"),
        pytest.param((460, 470), (230, 235), id="a-half"),
        pytest.param((1890, 1842), (237, 231), id="an-eighth"),
        pytest.param((3000, 500), (1500, 250), id="as-its-shorter-side-allows"),
    ],
)
def test_a_scaled_contract_has_a_jpeg_decoded_no_larger_than_it_needs(
    mode: str, size: tuple[int, int], decoded: tuple[int, int]
) -> None:
    data = encode(draw_radiograph(size=size).convert(mode), "JPEG", quality=90)
    image = decode_for(data, SCALED).image
    assert (image.size, image.mode) == (decoded, mode)
    assert decode_for(data, FULL).image.size == size
    difference = preprocess(data, SCALED) - preprocess(data, FULL)
    assert np.abs(difference).mean() * 255 < 4, "each pixel is the mean of what it stands for"


def test_a_scaled_contract_leaves_other_types_and_turned_pictures_as_they_are() -> None:
    film = draw_radiograph(size=(1000, 1200))
    assert decode_for(encode(film), SCALED).image.size == (1000, 1200)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encode(film, "JPEG", quality=90, exif=exif)
    assert decode_for(turned, SCALED).image.size == (300, 250)


def test_the_limit_of_pixels_is_that_of_the_whole_picture() -> None:
    data = encode(draw_radiograph(size=(1000, 1200)), "JPEG")
    with pytest.raises(TooManyPixels, match="1000 x 1200"):
        decode_for(data, SCALED, max_pixels=1_000_000)


CAFFE = (-103.939, -116.779, -123.68)
TORCH = {
    "scale": tuple(1 / 255 / deviation for deviation in (0.229, 0.224, 0.225)),
    "offset": tuple(
        -mean / deviation
        for mean, deviation in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
    ),
}


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        pytest.param("caffe", {"channels": "bgr", "scale": 1.0, "offset": CAFFE}, id="caffe"),
        pytest.param("tf", {"scale": 1 / 127.5, "offset": -1.0}, id="tf"),
        pytest.param("torch", TORCH, id="torch"),
    ],
)
def test_a_scale_and_an_offset_a_channel_are_what_keras_preprocess_input_does(
    mode: str, fields: dict[str, Any]
) -> None:
    contract = PictureContract(input_size=(64, 48), resize="bilinear", **fields)
    image = colored()
    as_keras_has_it = np.asarray(image.resize((48, 64), Image.Resampling.BILINEAR), np.float32)
    expected = keras.applications.imagenet_utils.preprocess_input(as_keras_has_it, mode=mode)
    found = to_input(image, contract)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("per_picture", "options"),
    [
        ("center", {"samplewise_center": True}),
        ("standardize", {"samplewise_center": True, "samplewise_std_normalization": True}),
    ],
)
@pytest.mark.parametrize("channels", ["rgb", "gray"])
def test_per_picture_is_what_keras_calls_samplewise(
    channels: Any, per_picture: Any, options: dict[str, bool]
) -> None:
    import tensorflow as tf

    contract = PictureContract(
        input_size=(64, 48), resize="box", channels=channels, scale=1 / 255, per_picture=per_picture
    )
    pixels = to_pixels(colored(), contract)
    generator = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255, **options)
    expected = generator.standardize(pixels.astype(np.float32))
    assert np.abs(rescale(pixels, contract) - expected).max() < 1e-4
    batch = np.stack([pixels, 255 - pixels, pixels // 2])
    each = np.stack([rescale(picture, contract) for picture in batch])
    assert np.array_equal(rescale(batch, contract), each), "each picture is taken by itself"


FIELDS: dict[str, dict[str, Any]] = {
    "recipe-of-2022": {"scale": 1 / 255},
    "with-an-offset": {"scale": 1 / 127.5, "offset": -1.0},
    "an-offset-a-channel": {"channels": "bgr", "scale": 1.0, "offset": CAFFE},
    "a-scale-a-channel": TORCH,
    "gray": {"channels": "gray", "scale": 1 / 255},
    "centred": {"scale": 1 / 255, "per_picture": "center"},
    "centred-of-several-scales": {**TORCH, "per_picture": "center"},
    "standardized": {"scale": 1 / 255, "offset": 0.25, "per_picture": "standardize"},
    "standardized-gray": {"channels": "gray", "scale": 2.0, "per_picture": "standardize"},
}


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS.keys())
def test_the_negative_of_an_input_is_the_input_of_the_negative(fields: dict[str, Any]) -> None:
    contract = PictureContract(input_size=(64, 48), resize="box", **fields)
    assert can_be_turned(contract)
    pixels = np.stack([to_pixels(image, contract) for image in (colored(), draw_radiograph(7))])
    found = negative(rescale(pixels, contract), contract)
    expected = rescale(255 - pixels, contract)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_negative_of_what_its_picture_must_be_known_for_is_not_guessed() -> None:
    fields = {**TORCH, "per_picture": "standardize"}
    contract = PictureContract.model_validate({"input_size": (8, 8), "resize": "box", **fields})
    assert not can_be_turned(contract)
    with pytest.raises(ValueError, match="no negative without the picture"):
        negative(np.zeros((1, 8, 8, 3), np.float32), contract)


@pytest.mark.parametrize(("scale", "offset"), [(1 / 255, 0.0), (1 / 127.5, -1.0), (1.0, 0.0)])
def test_the_levels_of_model_inputs_are_the_pixels_they_were_made_of(
    scale: float, offset: float
) -> None:
    contract = ModelContract.recipe_of_2022().model_copy(update={"scale": scale, "offset": offset})
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    np.testing.assert_array_equal(to_levels(rescale(pixels, contract), contract), pixels)


def test_what_is_no_level_is_black_or_white() -> None:
    inputs = np.array([-1, 2, np.inf, -np.inf, np.nan], np.float32)
    levels = to_levels(inputs, ModelContract.recipe_of_2022())
    assert levels.tolist() == [0, 255, 255, 0, 0]


@pytest.mark.parametrize("channels", ["gray", "bgr"])
def test_the_levels_of_other_channels_are_those_of_the_picture(channels: Any) -> None:
    contract = PictureContract(
        input_size=(48, 64), resize="box", channels=channels, scale=1 / 127.5, offset=-1.0
    )
    image = draw_radiograph(3).convert("RGB")
    expected = np.asarray(image.resize((64, 48), Image.Resampling.BOX)).astype(int)
    found = to_levels(to_input(image, contract)[None], contract)[0]
    assert found.shape == (48, 64, 3)
    assert np.abs(found - expected).max() <= 1, "converted to gray before, not after"


def test_the_levels_of_standardized_pictures_span_the_whole_range() -> None:
    contract = PictureContract(
        input_size=(48, 64), resize="box", scale=1 / 255, per_picture="standardize"
    )
    found = to_levels(to_input(draw_radiograph(3), contract)[None], contract)
    assert (found.min(), found.max()) == (0, 255)
