from __future__ import annotations

import struct

import numpy as np
import pytest

from app.xray.decode.effort import QUICK_PIXELS, takes_long
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode, png_declaring
from benchmarks.rig.corpus.hostile import dicom_behind

SIDE = 4096  # one side of a picture that has more than QUICK_PIXELS when it is square


def jpeg_declaring(width: int, height: int) -> bytes:
    """A JPEG whose frame header promises width x height pixels."""
    data = bytearray(encode(draw_radiograph(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def with_preview() -> bytes:
    """As cameras write it, behind the picture."""
    return encode(draw_radiograph(), "JPEG") + encode(draw_radiograph(size=(64, 64)), "JPEG")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encode(draw_radiograph()), id="png"),
        pytest.param(encode(draw_radiograph(), "JPEG"), id="gray-jpeg"),
        pytest.param(encode(draw_radiograph().convert("RGB"), "JPEG"), id="color-jpeg"),
        pytest.param(png_declaring(SIDE, QUICK_PIXELS // SIDE), id="largest-png"),
        pytest.param(jpeg_declaring(SIDE, QUICK_PIXELS // SIDE), id="largest-jpeg"),
        pytest.param(encode(draw_radiograph())[:20], id="cut-off-png"),
        pytest.param(encode(draw_radiograph(), "JPEG")[:100], id="cut-off-jpeg"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="no-picture"),
    ],
)
def test_what_is_bounded_by_its_pixels_is_quick(data: bytes) -> None:
    assert not takes_long(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(write_dicom(np.asarray(draw_radiograph())), id="dicom"),
        pytest.param(dicom_behind(b"\xff\xd8\0"), id="dicom-that-begins-almost-as-a-jpeg"),
        pytest.param(dicom_behind(b"\x89PNG\0"), id="dicom-that-begins-almost-as-a-png"),
        pytest.param(encode(draw_radiograph(), "JPEG", progressive=True), id="progressive"),
        pytest.param(with_preview(), id="preview"),
        pytest.param(png_declaring(SIDE, SIDE), id="large-png"),
        pytest.param(jpeg_declaring(SIDE, SIDE), id="large-jpeg"),
        pytest.param(b"\xff\xd8" + b"\xff\xe0\0\2" * 2000, id="segments-without-end"),
    ],
)
def test_what_is_not_or_is_large_is_not_quick(data: bytes) -> None:
    assert takes_long(data)


def test_fill_bytes_before_a_marker_are_skipped_in_one_go() -> None:
    data = encode(draw_radiograph(), "JPEG")
    assert not takes_long(data[:2] + b"\xff" * 20_000_000 + data[2:])
