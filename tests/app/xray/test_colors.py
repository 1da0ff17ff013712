"""Who converts the colors of what: held against pydicom, GDCM and dcmtk."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from app.xray.decode import decode
from app.xray.decode.dicom.colors import WHO_CONVERTS, Codec, Converts, is_rgb, named_colors
from benchmarks.rig.corpus.dicoms import UIDS, write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode

if TYPE_CHECKING:
    from pathlib import Path

RGB = np.stack([np.asarray(draw_radiograph(seed, (64, 48))) for seed in (1, 2, 3)], axis=2)
YBR = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
LUMINANCE = np.asarray(Image.fromarray(RGB).convert("L")).astype(int)
JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
ADOBE_RGB = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"
ADOBE_YCC = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1"


def bare(stream: bytes, names: bytes = b"\1\2\3") -> bytes:
    """`stream` without application segments, its three components named so."""
    kept, offset = bytearray(stream[:2]), 2
    while stream[offset + 1] != 0xDA:
        end = offset + 2 + int.from_bytes(stream[offset + 2 : offset + 4], "big")
        segment = bytearray(stream[offset:end])
        if segment[1] in {0xC0, 0xC1, 0xC2, 0xC3}:
            segment[10:19:3] = names
        kept += segment if segment[1] not in {0xE0, 0xEE} else b""
        offset = end
    scan = bytearray(stream[offset:])
    scan[5:11:2] = names
    return bytes(kept + scan)


def with_segment(segment: bytes, stream: bytes) -> bytes:
    return stream[:2] + segment + stream[2:]


def coded(levels: np.ndarray, **options: object) -> bytes:
    return bare(
        imagecodecs.jpeg8_encode(levels, level=98, colorspace="RGB", outcolorspace="RGB", **options)
    )


OF_RGB, OF_YBR = coded(RGB), coded(YBR)
LOSSLESS_RGB = coded(RGB, lossless=True)
LOSSLESS_YBR = coded(YBR, lossless=True)
STREAMS = {
    # The codestream, its transfer syntax, and the PhotometricInterpretations that are tried.
    "ycc-jfif": (with_segment(JFIF, OF_YBR), "RGB YBR_FULL YBR_FULL_422"),
    "ycc-adobe": (with_segment(ADOBE_YCC, OF_YBR), "YBR_FULL YBR_FULL_422"),
    "ycc-unnamed": (OF_YBR, "YBR_FULL YBR_FULL_422"),
    "rgb-adobe": (with_segment(ADOBE_RGB, OF_RGB), "RGB"),
    "rgb-unnamed": (OF_RGB, "RGB"),
    "rgb-by-components": (bare(OF_RGB, b"RGB"), "RGB YBR_FULL YBR_FULL_422"),
}
CASES = [
    pytest.param(syntax, stream, photometric, id=f"{syntax}-{name}-{photometric}")
    for syntax, streams in {
        "jpeg-baseline": STREAMS,
        "jpeg-extended": STREAMS,
        "jpeg-lossless": {
            "rgb-unnamed": (LOSSLESS_RGB, "RGB"),
            "rgb-by-components": (bare(LOSSLESS_RGB, b"RGB"), "RGB YBR_FULL"),
            "ycc-unnamed": (LOSSLESS_YBR, "YBR_FULL"),
        },
        "jpeg-lossless-sv1": {
            "rgb-unnamed": (LOSSLESS_RGB, "RGB"),
            "ycc-unnamed": (LOSSLESS_YBR, "YBR_FULL"),
        },
        "jpeg-ls": {
            "rgb": (imagecodecs.jpegls_encode(RGB), "RGB"),
            "ycc": (imagecodecs.jpegls_encode(YBR), "YBR_FULL"),
        },
        "jpeg-2000-lossless": {
            "rgb-transformed": (
                imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="j2k", reversible=True),
                "RGB YBR_RCT",
            ),
            "rgb": (
                imagecodecs.jpeg2k_encode(
                    RGB, level=0, codecformat="j2k", reversible=True, mct=False
                ),
                "RGB YBR_RCT",
            ),
            "ycc": (
                imagecodecs.jpeg2k_encode(
                    YBR, level=0, codecformat="j2k", reversible=True, mct=False
                ),
                "YBR_FULL",
            ),
        },
        "jpeg-2000": {
            "rgb-transformed": (
                imagecodecs.jpeg2k_encode(RGB, level=60, codecformat="j2k", reversible=False),
                "RGB YBR_ICT",
            )
        },
    }.items()
    for name, (stream, photometrics) in streams.items()
    for photometric in photometrics.split()
]


def far_from_luminance(image: Image.Image) -> float:
    return float(np.abs(np.asarray(image.convert("L")).astype(int) - LUMINANCE).mean())


@pytest.mark.parametrize(("syntax", "stream", "photometric"), CASES)
def test_each_codec_and_photometric_interpretation_gives_the_luminance_of_what_was_coded(
    syntax: str, stream: bytes, photometric: str
) -> None:
    data = write_dicom(RGB, syntax=syntax, photometric=photometric, codestream=stream)
    assert far_from_luminance(decode(data).image) < 1.5


@pytest.mark.parametrize(("syntax", "stream", "photometric"), CASES)
def test_pydicom_says_so_too(syntax: str, stream: bytes, photometric: str) -> None:
    data = write_dicom(RGB, syntax=syntax, photometric=photometric, codestream=stream)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that file and codestream differ
        levels, properties = get_decoder(UID(UIDS[syntax])).as_array(
            pydicom.dcmread(io.BytesIO(data)), index=0
        )
    assert properties["photometric_interpretation"] == "RGB"
    assert far_from_luminance(Image.fromarray(levels)) < 1.5


@pytest.mark.parametrize(("syntax", "stream", "photometric"), CASES)
def test_gdcm_says_so_too(syntax: str, stream: bytes, photometric: str) -> None:
    data = write_dicom(RGB, syntax=syntax, photometric=photometric, codestream=stream)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        levels, _ = get_decoder(UID(UIDS[syntax])).as_array(
            pydicom.dcmread(io.BytesIO(data)), index=0, decoding_plugin="gdcm"
        )
    assert far_from_luminance(Image.fromarray(levels)) < 1.5


@pytest.mark.skipif(shutil.which("dcmj2pnm") is None, reason="no dcmtk here")
@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_extended_jpeg_of_8_bits_is_shown_as_dcmtk_shows_it(
    photometric: str, tmp_path: Path
) -> None:
    gray = draw_radiograph(4, (64, 48))
    stream = encode(gray.convert("RGB"), "JPEG", quality=95)
    data = write_dicom(RGB, syntax="jpeg-extended", photometric=photometric, codestream=stream)
    (tmp_path / "in.dcm").write_bytes(data)
    command = ["dcmj2pnm", "-q", str(tmp_path / "in.dcm"), str(tmp_path / "out.ppm")]
    subprocess.run(command, check=True)
    theirs = np.asarray(Image.open(tmp_path / "out.ppm").convert("L")).astype(int)
    ours = np.asarray(decode(data).image).astype(int)
    assert np.abs(ours - theirs).max() <= 1
    assert np.abs(ours - np.asarray(gray)).mean() < 2


def test_the_table_names_who_converts_for_every_codec_and_interpretation() -> None:
    assert set(WHO_CONVERTS) == set(Codec)
    for codec, who in WHO_CONVERTS.items():
        assert set(who) == {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"}
        assert who["YBR_FULL"] is who["YBR_FULL_422"] is Converts.WE
        assert is_rgb(codec, "RGB", OF_RGB)
        assert not is_rgb(codec, "YBR_FULL", OF_RGB)


@pytest.mark.parametrize(
    ("stream", "named"),
    [
        (OF_RGB, ""),
        (with_segment(JFIF, OF_RGB), "YCbCr"),
        (with_segment(ADOBE_RGB, OF_RGB), "RGB"),
        (with_segment(JFIF, with_segment(ADOBE_RGB, OF_RGB)), "RGB"),
        (with_segment(ADOBE_YCC, OF_RGB), "YCbCr"),
        (with_segment(b"\xff\xee\0\7Adobe", OF_RGB), ""),
        (bare(OF_RGB, b"rgb"), "RGB"),
        (with_segment(JFIF, bare(OF_RGB, b"RGB")), "RGB"),
    ],
)
def test_a_jpeg_names_its_colors(stream: bytes, named: str) -> None:
    assert named_colors(stream) == named
