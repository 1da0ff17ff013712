from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.xray.contract import RESIZINGS, ModelContract, PictureContract, parse_input, spell_input


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param(
            "size=150 channels=gray scale=1/255 resize=bilinear-opencv",
            {"input_size": (150, 150), "channels": "gray", "scale": 1 / 255}
            | {"resize": "bilinear-opencv"},
            id="as-in-the-docs",
        ),
        pytest.param("size=200x150", {"input_size": (200, 150)}, id="height-before-width"),
        pytest.param("scale=1/127.5 offset=-1", {"scale": 1 / 127.5, "offset": -1.0}, id="tf"),
        pytest.param(
            "channels=bgr offset=-103.939,-116.779,-123.68",
            {"channels": "bgr", "offset": (-103.939, -116.779, -123.68)},
            id="caffe",
        ),
        pytest.param("scale=1/255,0.5,2e-3", {"scale": (1 / 255, 0.5, 0.002)}, id="each-its-own"),
        pytest.param(
            "per_picture=standardize crop=fit output=sigmoid-one",
            {"per_picture": "standardize", "crop": "fit", "output": "sigmoid-one"},
            id="names",
        ),
        pytest.param("  size=8\n scale=1 ", {"input_size": (8, 8), "scale": 1.0}, id="any-spaces"),
    ],
)
def test_what_is_said_becomes_fields_of_a_contract_and_nothing_else_does(
    text: str, fields: dict[str, Any]
) -> None:
    assert parse_input(text) == fields


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "nothing is said; expected words such as size=224", id="nothing"),
        pytest.param("150", "'150': expected KEY=VALUE, of size, channels", id="no-key"),
        pytest.param("colour=gray", "'colour=gray': expected KEY=VALUE", id="another-key"),
        pytest.param("SIZE=150", "expected KEY=VALUE", id="key-in-capitals"),
        pytest.param("size=150 size=150", "size is said twice", id="twice"),
        pytest.param("size=0", "size=0: expected pixels a side", id="no-pixels"),
        pytest.param("size=5000", "up to 4096", id="too-many-pixels"),
        pytest.param("size=150x", "size=150x: expected", id="half-a-size"),
        pytest.param("size=150x150x3", "expected pixels", id="a-shape"),
        pytest.param("channels=rbg", "channels=rbg: expected rgb, bgr, gray", id="permuted"),
        pytest.param("resize=linear", "expected nearest, box, bilinear", id="another-method"),
        pytest.param("scale=1/0", "scale=1/0: expected a number", id="by-zero"),
        pytest.param("scale=nan", "expected a number", id="no-number"),
        pytest.param("scale=1e999", "expected a number", id="without-end"),
        pytest.param("scale=", "expected a number", id="no-value"),
        pytest.param("scale=/255", "expected a number", id="half-a-fraction"),
        pytest.param("scale=1,2,3,4", "one for each channel", id="too-many-numbers"),
        pytest.param("per_picture=samplewise", "none, center, standardize", id="another-word"),
        pytest.param("crop=center", "expected none, fit", id="another-crop"),
        pytest.param("output=binary", "softmax, sigmoid-one, sigmoid, logits", id="an-output"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_says_what_can(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_input(text)


numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(
    size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
    channels=st.sampled_from(["rgb", "bgr"]),
    resize=st.sampled_from(sorted(RESIZINGS)),
    scale=numbers | st.tuples(numbers, numbers, numbers),
    offset=numbers | st.tuples(numbers, numbers, numbers),
    per_picture=st.sampled_from(["none", "center", "standardize"]),
)
def test_what_is_spelt_reads_back_the_same(
    size: Any, channels: Any, resize: Any, scale: Any, offset: Any, per_picture: Any
) -> None:
    written = PictureContract(
        input_size=size,
        channels=channels,
        resize=resize,
        scale=scale,
        offset=offset,
        per_picture=per_picture,
    )
    assert PictureContract.model_validate(parse_input(spell_input(written))) == written


def test_fractions_are_spelt_as_people_write_them() -> None:
    contract = ModelContract(
        classes=("A", "B"), input_size=(150, 150), channels="gray", resize="bilinear-opencv",
        scale=1 / 255, output="sigmoid-one",
    )  # fmt: skip
    assert spell_input(contract) == (
        "size=150 channels=gray scale=1/255 resize=bilinear-opencv output=sigmoid-one"
    )
    other = contract.model_copy(update={"scale": 1 / 127.5, "offset": -1.0, "crop": "fit"})
    assert "scale=1/127.5 offset=-1 resize" in spell_input(other)
    assert "crop=fit" in spell_input(other)
