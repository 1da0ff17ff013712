from __future__ import annotations

import contextlib
import io
import math
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import imagecodecs
import jpeg_ls
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.charset import convert_encodings, encode_string
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from app.xray.decode import decode
from app.xray.errors import SenderError, TooManyPixels, UnusableImage, WrongModality
from benchmarks.rig.corpus.dicoms import (
    FOLDER,
    LOSSLESS,
    LOSSY,
    NATIVE,
    encode_levels,
    lut_item,
    test_file,
    write_dicom,
)
from benchmarks.rig.corpus.drawing import draw_radiograph, encode

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (53, 41)


def drawn(bits: int = 8, seed: int = 0) -> np.ndarray:
    """A drawn radiograph's levels, over the range of `bits`."""
    gray = np.asarray(draw_radiograph(seed, SIZE)).astype(np.float64)
    levels = (gray / 255 * ((1 << bits) - 1)).astype(np.uint16 if bits > 8 else np.uint8)
    return np.ascontiguousarray(levels)


def pixels(data: bytes) -> np.ndarray:
    image = decode(data).image
    assert image.mode == "L"
    return np.asarray(image)


def as_numbers(levels: np.ndarray, bits: int, *, signed: bool) -> np.ndarray:
    numbers = levels.astype(np.int64)
    return np.where(signed & (numbers >= 1 << (bits - 1)), numbers - (1 << bits), numbers)


def stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """What each of `values` is shown as, not yet rounded."""
    return ((values.astype(float) - low) * 255 / (high - low)).clip(0, 255)


def assert_shown(data: bytes, exact: np.ndarray) -> None:
    assert np.abs(pixels(data) - exact).max() <= 0.5 + 1e-6


def windowed(x: float, c: float, w: float, function: str = "LINEAR") -> float:
    """The pseudo-code of PS3.3, C.11.2.1.2.1 and C.11.2.1.3, for an output of 0 to 255."""
    low, high = 0.0, 255.0
    if function == "SIGMOID":
        return (high - low) / (1 + math.exp(min(-4 * (x - c) / w, 700))) + low
    if function == "LINEAR_EXACT":
        if x <= c - w / 2:
            return low
        if x > c + w / 2:
            return high
        return ((x - c) / w + 0.5) * (high - low) + low
    if x <= c - 0.5 - (w - 1) / 2:
        return low
    if x > c - 0.5 + (w - 1) / 2:
        return high
    return ((x - (c - 0.5)) / (w - 1) + 0.5) * (high - low) + low


def by_formula(values: np.ndarray, c: float, w: float, function: str = "LINEAR") -> np.ndarray:
    return np.vectorize(lambda x: windowed(x, c, w, function))(values.astype(float))


# What is written is what is read.


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16], ids="{}-bits".format)
@pytest.mark.parametrize("syntax", [*NATIVE, *LOSSLESS])
def test_each_lossless_transfer_syntax_gives_the_levels_that_were_written(
    syntax: str, bits: int, signed: bool, photometric: str
) -> None:
    levels = drawn(bits)
    data = write_dicom(
        levels,
        syntax=syntax,
        bits=bits,
        photometric=photometric,
        PixelRepresentation=int(signed),
    )
    numbers = as_numbers(levels, bits, signed=signed)
    if bits == 8:
        expected = stretched(numbers, -128 if signed else 0, 127 if signed else 255)
    else:
        expected = stretched(numbers, numbers.min(), numbers.max())
    assert_shown(data, 255 - expected if photometric[-1] == "1" else expected)


@pytest.mark.parametrize(
    ("syntax", "bits"),
    [
        ("jpeg-baseline", 8),
        ("jpeg-extended", 8),
        ("jpeg-extended", 12),
        *((syntax, bits) for syntax in ("jpeg-ls-near", "jpeg-2000") for bits in (8, 12, 16)),
    ],
)
def test_each_lossy_transfer_syntax_gives_what_another_decoder_reads(
    syntax: str, bits: int
) -> None:
    levels = drawn(bits)
    stream = encode_levels(levels, syntax, bits)
    codec = {"jpeg-ls-near": "jpegls", "jpeg-2000": "jpeg2k"}.get(syntax, "jpeg8")
    if codec == "jpegls":
        decoded = jpeg_ls.decode(np.frombuffer(stream, np.uint8))
    else:
        decoded = getattr(imagecodecs, f"{codec}_decode")(stream)
    expected = decoded if bits == 8 else stretched(decoded, decoded.min(), decoded.max())
    found = pixels(write_dicom(levels, syntax=syntax, bits=bits, codestream=stream))
    assert np.abs(found - expected).max() <= (1.5 if codec == "jpeg2k" else 0.5 + 1e-6)
    if bits == 8:
        assert np.abs(found.astype(int) - levels).mean() < 4


@pytest.mark.parametrize("planar", [0, 1], ids=["by-pixel", "by-plane"])
@pytest.mark.parametrize("syntax", NATIVE)
def test_rgb_becomes_luminance(syntax: str, planar: int) -> None:
    colors = np.stack([drawn(seed=seed) for seed in (1, 2, 3)], axis=2)
    stored = colors if planar == 0 else np.moveaxis(colors, 2, 0).reshape(colors.shape)
    data = write_dicom(stored, syntax=syntax, photometric="RGB", PlanarConfiguration=planar)
    assert np.array_equal(pixels(data), np.asarray(Image.fromarray(colors).convert("L")))


@pytest.mark.parametrize("syntax", ["rle", "jpeg-lossless-sv1", "jpeg-ls", "jpeg-2000-lossless"])
def test_compressed_rgb_becomes_luminance(syntax: str) -> None:
    colors = np.stack([drawn(seed=seed) for seed in (1, 2, 3)], axis=2)
    photometric = "YBR_RCT" if syntax == "jpeg-2000-lossless" else "RGB"
    if syntax == "rle":
        data = write_dicom(colors, syntax=syntax, photometric="RGB")
    else:
        stream = encode_levels(colors, syntax, 8)
        data = write_dicom(colors, syntax=syntax, photometric=photometric, codestream=stream)
    assert np.array_equal(pixels(data), np.asarray(Image.fromarray(colors).convert("L")))


def test_rgb_of_16_bits_is_spread_over_its_range() -> None:
    gray = drawn(12)
    data = write_dicom(np.stack([gray] * 3, axis=2), bits=16, photometric="RGB")
    assert_shown(data, stretched(gray, gray.min(), gray.max()))


@pytest.mark.parametrize("depth", [8, 16])
def test_a_palette_becomes_luminance(depth: int) -> None:
    levels = drawn()
    palette = np.random.default_rng(1).integers(0, 1 << depth, (3, 200))
    elements: dict[str, Any] = {}
    for color, channel in zip(("Red", "Green", "Blue"), palette, strict=True):
        name = f"{color}PaletteColorLookupTable"
        elements[f"{name}Descriptor"] = [200, 20, depth]
        elements[f"{name}Data"] = channel.astype("<u2" if depth == 16 else np.uint8).tobytes()
    data = write_dicom(levels, photometric="PALETTE COLOR", **elements)
    rgb = (palette >> (depth - 8)).astype(np.uint8)
    chosen = rgb[:, (levels.astype(int) - 20).clip(0, 199)]
    expected = Image.fromarray(np.ascontiguousarray(np.moveaxis(chosen, 0, 2))).convert("L")
    assert np.array_equal(pixels(data), np.asarray(expected))


# From levels to what is shown.


@pytest.fixture
def any_contrast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.xray.decode.radiograph._FLAT_LEVELS", 0)


@pytest.mark.usefixtures("any_contrast")
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize(("center", "width"), [(1600, 2800), (40.5, 1), (0, 300), (-500, 0.5e5)])
def test_a_window_is_that_of_the_standards_formula(
    center: float, width: float, function: str | None, photometric: str, signed: bool
) -> None:
    levels = drawn(12)
    optional = {"VOILUTFunction": function} if function else {}
    data = write_dicom(
        levels,
        bits=12,
        photometric=photometric,
        PixelRepresentation=int(signed),
        WindowCenter=center,
        WindowWidth=width,
        **optional,
    )
    shown = by_formula(as_numbers(levels, 12, signed=signed), center, width, function or "LINEAR")
    expected = 255 - shown if photometric == "MONOCHROME1" else shown
    assert_shown(data, expected)


def test_a_window_lies_over_rescaled_values() -> None:
    levels = drawn(12)
    data = write_dicom(
        levels,
        bits=12,
        RescaleSlope=0.684,
        RescaleIntercept=200,
        WindowCenter=1600,
        WindowWidth=2800,
    )
    expected = by_formula(levels * 0.684 + 200, 1600, 2800)
    assert_shown(data, expected)


def test_of_several_windows_the_first_is_taken() -> None:
    both = write_dicom(drawn(12), bits=12, WindowCenter=[900, 50], WindowWidth=[700, 10])
    first = write_dicom(drawn(12), bits=12, WindowCenter=900, WindowWidth=700)
    assert np.array_equal(pixels(both), pixels(first))


def test_a_negative_slope_turns_black_to_white() -> None:
    levels = drawn(12)
    data = write_dicom(levels, bits=12, RescaleSlope=-1, RescaleIntercept=4095)
    assert_shown(data, stretched(-levels.astype(int), -int(levels.max()), -int(levels.min())))


ANGIOGRAPHY = "1.2.840.10008.5.1.4.1.1.12."


@pytest.mark.parametrize(
    ("sop_class", "modality", "relationship", "is_applied"),
    [
        (ANGIOGRAPHY + "1", "XA", "LOG", False),
        (ANGIOGRAPHY + "1", "XA", "DISP", False),
        (ANGIOGRAPHY + "2", "RF", "LOG", False),
        (ANGIOGRAPHY + "1", "XA", "LIN", True),
        (ANGIOGRAPHY + "1", "XA", "", True),
        ("1.2.3.4", "XA", "LOG", False),
        ("1.2.840.10008.5.1.4.1.1.1", "CR", "LOG", True),
        ("1.2.840.10008.5.1.4.1.1.1.1", "DX", "LOG", True),
        ("1.2.840.10008.5.1.4.1.1.1.1", "DX", "DISP", True),
        ("1.2.840.10008.5.1.4.1.1.7", "OT", "DISP", True),
    ],
)
def test_a_modality_lut_is_there_for_measuring_in_angiography_alone(
    sop_class: str, modality: str, relationship: str, is_applied: bool
) -> None:
    levels = np.tile(np.arange(256, dtype=np.uint8).reshape(16, 16), (2, 2))
    falling = lut_item(0, 8, 255 - np.arange(256))
    data = write_dicom(
        levels,
        SOPClassUID=sop_class,
        Modality=modality,
        ModalityLUTSequence=[falling],
        PixelIntensityRelationship=relationship,
    )
    shown = np.asarray(decode(data).image)
    np.testing.assert_array_equal(shown, 255 - levels if is_applied else levels)


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("kind", ["ModalityLUTSequence", "VOILUTSequence"])
@pytest.mark.parametrize(
    ("first", "depth", "signed"), [(0, 16, False), (300, 12, False), (-1000, 14, True)]
)
def test_a_lookup_table_maps_from_its_first_value_on(
    first: int, depth: int, signed: bool, kind: str, syntax: str
) -> None:
    levels = drawn(12)
    entries = (np.linspace(0, 1, 2000) ** 0.5 * ((1 << depth) - 1)).astype(np.uint16)
    item = lut_item(first, depth, entries)
    if syntax == "explicit-big":
        item.LUTData = entries.astype(">u2").tobytes()
    data = write_dicom(
        levels, bits=12, syntax=syntax, PixelRepresentation=int(signed), **{kind: [item]}
    )
    rows = (as_numbers(levels, 12, signed=signed) - first).clip(0, 1999)
    looked_up = entries[rows].astype(float)
    if kind == "VOILUTSequence":
        expected = stretched(looked_up, 0, (1 << depth) - 1)
    else:
        expected = stretched(looked_up, looked_up.min(), looked_up.max())
    assert_shown(data, expected)


def test_entries_of_8_bits_may_stand_in_8_bits() -> None:
    item = lut_item(0, 8, np.zeros(4096), descriptor=[4096, 0, 8])
    entries = (np.arange(4096) // 16).astype(np.uint8)[::-1]
    item.LUTData = entries.tobytes()
    data = write_dicom(drawn(12), bits=12, VOILUTSequence=[item])
    assert np.array_equal(pixels(data), entries[drawn(12)])


def test_a_lookup_table_goes_before_a_window() -> None:
    item = lut_item(0, 16, np.arange(4096) * 16)
    with_window = write_dicom(
        drawn(12), bits=12, VOILUTSequence=[item], WindowCenter=5, WindowWidth=3
    )
    assert np.array_equal(
        pixels(with_window), pixels(write_dicom(drawn(12), bits=12, VOILUTSequence=[item]))
    )


@pytest.mark.parametrize("limit", [None, 4095], ids=["value", "range"])
def test_padding_takes_no_part_in_the_range(limit: int | None) -> None:
    levels = drawn(10)
    levels[:5] = 4000
    optional = {} if limit is None else {"PixelPaddingRangeLimit": limit}
    inner = levels[5:]
    data = write_dicom(levels, bits=12, PixelPaddingValue=4000, **optional)
    assert_shown(data, stretched(levels, inner.min(), inner.max()))


def test_bits_beside_the_stored_ones_are_no_picture() -> None:
    overlay = (np.indices(drawn().shape).sum(axis=0) % 2).astype(np.uint16) << 15
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    found = pixels(write_dicom(drawn(12) | overlay, bits=12, **window))
    assert np.array_equal(found, pixels(write_dicom(drawn(12), bits=12, **window)))


def test_bits_that_end_higher_are_moved_down() -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    found = pixels(write_dicom(drawn(12) << 4, bits=12, HighBit=15, **window))
    assert np.array_equal(found, pixels(write_dicom(drawn(12), bits=12, **window)))


# pydicom's own files, some of them of a few pixels.


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.xray.decode.radiograph.MIN_SIDE", 1)


CR = ["77654033/CR1/6154", "77654033/CR2/6247", "77654033/CR3/6278"]


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("name", CR)
def test_pydicoms_cr_files_are_shown_as_formula_and_pydicom_say(name: str) -> None:
    data = (FOLDER / "dicomdirtests" / name).read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data))
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(16, 16)
    slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    center, width = float(dataset.WindowCenter), float(dataset.WindowWidth)
    shown = 255 - by_formula(stored * slope + intercept, center, width)  # MONOCHROME1
    found = pixels(data)
    assert np.abs(found - shown).max() <= 0.5 + 1e-6
    theirs = apply_voi_lut(apply_modality_lut(stored, dataset), dataset)
    low, high = intercept, 4095 * slope + intercept
    assert np.abs(found - (255 - (theirs - low) / (high - low) * 255)).max() <= 0.5 + 1e-6


def independently(dataset: Dataset) -> np.ndarray:
    """uint8 or uint16 levels or RGB of pydicom's secondary captures, by none of our codecs."""
    uid = dataset.file_meta.TransferSyntaxUID
    shape = (dataset.Rows, dataset.Columns, 3)[: 2 if dataset.SamplesPerPixel == 1 else 3]
    depth = np.dtype(f"u{dataset.BitsAllocated // 8}")
    if not uid.is_compressed or uid.name.startswith("Deflated"):
        raw = np.frombuffer(dataset.PixelData, depth)
        if not uid.is_little_endian:  # 8 bits in swapped words
            raw = np.frombuffer(dataset.PixelData, ">u2").astype("<u2").view(np.uint8)
        if dataset.PhotometricInterpretation == "YBR_FULL_422":
            two = raw.reshape(-1, 4)  # Y1 Y2 Cb Cr
            ybr = np.stack([two[:, [0, 2, 3]], two[:, [1, 2, 3]]], axis=1).reshape(shape)
            return np.asarray(Image.fromarray(ybr, "YCbCr").convert("RGB"))
        size = math.prod(shape)
        if dataset.get("PlanarConfiguration") == 1:
            return np.moveaxis(raw[:size].reshape(3, *shape[:2]), 0, 2)
        return raw[:size].reshape(shape)
    stream = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if uid.name.startswith("RLE"):
        header = struct.unpack("<16L", stream[:64])
        ends = [*header[2 : header[0] + 1], len(stream)]
        segments = [
            np.frombuffer(imagecodecs.packbits_decode(stream[start:end]), np.uint8)[
                : math.prod(shape[:2])
            ].astype(depth)
            for start, end in zip(header[1 : header[0] + 1], ends, strict=True)
        ]
        if depth.itemsize == 2:
            pairs = zip(segments[::2], segments[1::2], strict=True)
            segments = [high << 8 | low for high, low in pairs]
        return np.stack([segment.reshape(shape[:2]) for segment in segments], axis=2)
    if uid.name.startswith("JPEG 2000"):
        return imagecodecs.jpeg2k_decode(stream)
    if uid.name.startswith("JPEG-LS"):
        return jpeg_ls.decode(np.frombuffer(stream, np.uint8))
    if uid.name.startswith("JPEG Lossless"):
        return get_decoder(uid).as_array(dataset, decoding_plugin="gdcm")[0]
    # Component names, then a JFIF marker, then the file say whether a JPEG holds RGB or YCbCr.
    start = stream.index(b"\xff\xc0") + 10
    is_rgb = dataset.PhotometricInterpretation == "RGB" and b"JFIF\0" not in stream[:40]
    is_rgb |= bytes(stream[start : start + 9 : 3]) == b"RGB"
    return imagecodecs.jpeg8_decode(
        stream, colorspace="RGB" if is_rgb else "YCbCr", outcolorspace="RGB"
    )


SECONDARY_CAPTURES = [
    name
    for name in sorted(path.name for path in FOLDER.glob("SC_*.dcm"))
    if "2frame" not in name and "32bit" not in name
] + ["image_dfl.dcm", "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm"]


@pytest.mark.usefixtures("any_size", "any_contrast")
@pytest.mark.parametrize("name", SECONDARY_CAPTURES)
def test_pydicoms_secondary_captures_are_what_another_decoder_reads(name: str) -> None:
    data = test_file(name)
    expected = independently(pydicom.dcmread(io.BytesIO(data)))
    if expected.dtype == np.uint16:
        spread = stretched(expected, expected.min(), expected.max())
        expected = np.rint(spread).astype(np.uint8)
    gray = Image.fromarray(expected).convert("L")
    assert np.abs(pixels(data).astype(int) - np.asarray(gray)).max() <= 2


def test_a_real_monochrome1_file_is_the_negative_of_its_monochrome2_twin(shared: Path) -> None:
    """They hold the same pixels and differ in what they say of them."""
    folder = shared / "originals"
    negative = pixels((folder / "rsna-monochrome1.dcm").read_bytes())
    positive = pixels((folder / "rsna-monochrome2.dcm").read_bytes())
    assert np.array_equal(255 - negative, positive)
    dataset = pydicom.dcmread(folder / "rsna-monochrome2.dcm")
    stream = get_frame(dataset.PixelData, 0, number_of_frames=1)
    assert np.abs(positive.astype(int) - imagecodecs.jpeg8_decode(stream)).max() <= 1


# What others read, too.

WINDOW = {"WindowCenter": 1600, "WindowWidth": 2800}
IMPLICIT = write_dicom(drawn(12), bits=12, syntax="implicit-little", **WINDOW)
EXPLICIT = write_dicom(drawn(12), bits=12, **WINDOW)
BIG = write_dicom(drawn(12), bits=12, syntax="explicit-big", **WINDOW)


def body_of(data: bytes) -> bytes:
    """The data set alone, without preamble and meta information."""
    return data[132 + 12 + struct.unpack("<I", data[140:144])[0] :]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes(128) + b"DICM" + body_of(IMPLICIT), id="no-meta-implicit"),
        pytest.param(bytes(128) + b"DICM" + body_of(EXPLICIT), id="no-meta-explicit"),
        pytest.param(bytes(128) + b"DICM" + body_of(BIG), id="no-meta-big-endian"),
        pytest.param(EXPLICIT[132:], id="no-preamble"),
        pytest.param(body_of(IMPLICIT), id="nothing-but-elements-implicit"),
        pytest.param(body_of(EXPLICIT), id="nothing-but-elements-explicit"),
        pytest.param(body_of(BIG), id="nothing-but-elements-big-endian"),
        pytest.param(IMPLICIT.replace(b"\2\0\x10\0UI", b"\2\0\x20\0UI"), id="no-transfer-syntax"),
    ],
)
def test_a_file_that_lacks_what_stands_before_its_elements_is_read(data: bytes) -> None:
    assert np.array_equal(pixels(data), pixels(EXPLICIT))


def test_compressed_pixels_of_no_named_transfer_syntax_are_told_as_that() -> None:
    data = write_dicom(drawn(), syntax="jpeg-baseline")
    with pytest.raises(UnusableImage, match="names no transfer syntax, and its pixel data are com"):
        decode(body_of(data))


@pytest.mark.parametrize("form", ["short", "long", "implicit"])
@pytest.mark.parametrize("kind", [b"??", b"\0\0", b"ZZ", b"xx", b"  "])
def test_an_element_with_a_broken_type_spoils_no_other(kind: bytes, form: str) -> None:
    broken = (
        b"\x19\0\x10\x10"
        + {
            "short": kind + b"\6\0abcdef",
            "long": kind + b"\0\0\6\0\0\0abcdef",
            "implicit": b"\6\0\0\0abcdef",
        }[form]
    )
    sequence = b"\x18\0\x50\x90SQ\0\0\xff\xff\xff\xff\xfe\xff\xdd\xe0\0\0\0\0"
    place = EXPLICIT.index(b"\x28\0\2\0US")
    odd = EXPLICIT[:place] + sequence + broken + EXPLICIT[place:]
    assert np.array_equal(pixels(odd), pixels(EXPLICIT))


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", ["jpeg-baseline", "jpeg-extended"])
def test_a_jpeg_of_8_bits_in_a_file_that_allocates_16_is_read(syntax: str, bits: int) -> None:
    stream = encode_levels(drawn(), "jpeg-baseline", 8)
    data = write_dicom(drawn().astype(np.uint16), syntax=syntax, bits=bits, codestream=stream)
    expected = imagecodecs.jpeg8_decode(stream)
    if bits > 8:
        expected = stretched(expected, expected.min(), expected.max())
    assert_shown(data, expected)


@pytest.mark.parametrize("syntax", ["jpeg-baseline", "jpeg-extended"])
def test_a_progressive_jpeg_is_read_though_dicom_rules_it_out(syntax: str) -> None:
    stream = encode(Image.fromarray(drawn()), "JPEG", progressive=True, quality=95)
    data = write_dicom(drawn(), syntax=syntax, codestream=stream)
    assert_shown(data, np.asarray(Image.open(io.BytesIO(stream))))


def test_the_codestream_says_by_what_it_was_coded_whatever_the_file_names() -> None:
    for name in ("jpeg-baseline", "jpeg-ls", "jpeg-2000-lossless", "jpeg-lossless-sv1"):
        stream = encode_levels(drawn(), name, 8)
        wrong = write_dicom(drawn(), syntax="jpeg-lossless", codestream=stream)
        right = write_dicom(drawn(), syntax=name, codestream=stream)
        assert np.array_equal(pixels(wrong), pixels(right))


# What is refused.


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        pytest.param("CT_small.dcm", "CT", id="ct"),
        pytest.param("MR_small_RLE.dcm", "MR", id="mr"),
        pytest.param("MR_truncated.dcm", "MR", id="mr-truncated"),
        pytest.param("examples_ybr_color.dcm", "US", id="us-multi-frame"),
        pytest.param("ExplVR_BigEnd.dcm", "US", id="us-big-endian"),
        pytest.param("JPGExtended.dcm", "NM", id="nm"),
        pytest.param("liver_1frame.dcm", "SEG", id="seg-1-bit"),
        pytest.param("rtdose_rle.dcm", "RTDOSE", id="dose-32-bit"),
        pytest.param("rtplan_truncated.dcm", "RTPLAN", id="plan"),
        pytest.param("badVR.dcm", "RTDOSE", id="bad-vr"),
        pytest.param("test-SR.dcm", "SR", id="sr"),
        pytest.param("waveform_ecg.dcm", "ECG", id="ecg"),
    ],
)
def test_other_modalities_are_refused_by_name(name: str, modality: str) -> None:
    with pytest.raises(WrongModality, match=f"modality is {modality}; only X-rays as"):
        decode(test_file(name))


@pytest.mark.parametrize("modality", ["CR", "DX", "RG", "RF", "XA", "OT", "", None])
def test_projections_and_captures_without_a_modality_are_read(modality: str | None) -> None:
    assert decode(write_dicom(drawn(), Modality=modality)).image.size == SIZE


@pytest.mark.parametrize("modality", ["Doe^Jane", "ct scan", "A" * 17, "<b>"])
def test_what_is_no_code_is_not_repeated(modality: str) -> None:
    data = write_dicom(drawn(), Modality="DX")
    start = data.index(b"\x08\0\x60\0CS")
    value = modality.encode().ljust(len(modality) + len(modality) % 2)
    length = struct.pack("<H", len(value))
    data = data[: start + 6] + length + value + data[start + 10 :]
    with pytest.raises(WrongModality, match="modality is no code that DICOM allows") as caught:
        decode(data)
    assert modality not in str(caught.value)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        pytest.param({"NumberOfFrames": 2}, "several frames", id="multi-frame"),
        pytest.param({"NumberOfFrames": 10**9}, "several frames", id="a-billion-frames"),
        pytest.param({"PixelData": None}, "no PixelData", id="no-pixel-data"),
        pytest.param({"PixelData": b""}, "no PixelData", id="empty-pixel-data"),
        pytest.param({"PixelData": b"\0" * 100}, "cut off or corrupt", id="too-few-pixels"),
        pytest.param({"Rows": None}, "lacks Rows", id="no-rows"),
        pytest.param({"Columns": 0}, "without pixels", id="no-columns"),
        pytest.param({"Rows": 65535}, "cut off or corrupt", id="more-rows-than-pixels"),
        pytest.param({"SamplesPerPixel": 4}, "colors are of a kind", id="four-samples"),
        pytest.param({"SamplesPerPixel": 2}, "colors are of a kind", id="two-samples"),
        pytest.param({"SamplesPerPixel": 3}, "colors are of a kind", id="gray-of-three"),
        pytest.param({"PhotometricInterpretation": "CMYK"}, "colors are of a kind", id="cmyk"),
        pytest.param(
            {"PhotometricInterpretation": None}, "lacks PhotometricInterpretation", id="no-color"
        ),
        pytest.param({"PhotometricInterpretation": "RGB"}, "colors are of a kind", id="rgb-of-one"),
        pytest.param({"BitsAllocated": None}, "lacks BitsAllocated", id="no-bits"),
        pytest.param({"BitsAllocated": 1}, "1 bits for a sample", id="one-bit"),
        pytest.param({"BitsAllocated": 32}, "32 bits for a sample", id="32-bits"),
        pytest.param({"BitsStored": 17}, "contradicts itself", id="more-stored-than-allocated"),
        pytest.param({"HighBit": 3}, "contradicts itself", id="high-bit-too-low"),
        pytest.param({"HighBit": 200}, "contradicts itself", id="high-bit-too-high"),
        pytest.param(
            {"PhotometricInterpretation": "PALETTE COLOR"}, "does not describe", id="no-palette"
        ),
    ],
)
def test_a_picture_that_is_none_is_unusable(elements: dict[str, Any], message: str) -> None:
    with pytest.raises(UnusableImage, match=message):
        decode(write_dicom(drawn(), **elements))


def lying(*words: int, entries: int = 100) -> list[Dataset]:
    return [lut_item(0, 16, np.arange(entries), descriptor=list(words))]


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        pytest.param({"RescaleSlope": 0}, "leaves nothing", id="slope-0"),
        pytest.param({"RescaleSlope": "nan"}, "no finite number", id="slope-nan"),
        pytest.param({"RescaleSlope": "inf"}, "no finite number", id="slope-inf"),
        pytest.param({"RescaleSlope": "1e307"}, "leaves nothing", id="slope-overflows"),
        pytest.param({"NumberOfFrames": "1A"}, "NumberOfFrames is no number", id="frames-text"),
        pytest.param({"VOILUTSequence": lying(102, 0, 16)}, "shorter than it says", id="lut-102"),
        pytest.param({"VOILUTSequence": lying(0, 0, 16)}, "shorter than it says", id="lut-65536"),
        pytest.param({"VOILUTSequence": lying(100, 0, 40)}, "shorter than it says", id="lut-deep"),
        pytest.param({"VOILUTSequence": lying(100, 0)}, "does not describe", id="lut-of-two"),
        pytest.param(
            {"ModalityLUTSequence": lying(500, 0, 16)}, "shorter than it says", id="modality-lut"
        ),
    ],
)
def test_an_odd_window_or_table_is_unusable(elements: dict[str, Any], message: str) -> None:
    window = {"WindowCenter": "100", "WindowWidth": "50"}
    with (
        pydicom.config.disable_value_validation(),
        pytest.raises(UnusableImage, match=message) as caught,
    ):
        decode(write_with_text(drawn(12), **window | elements))
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize(
    ("elements", "named"),
    [
        pytest.param({"WindowWidth": 0}, "WindowWidth is narrower", id="no-width"),
        pytest.param({"WindowWidth": "0.5"}, "WindowWidth is narrower", id="half-a-level"),
        pytest.param({"WindowWidth": -5}, "WindowWidth is narrower", id="negative-width"),
        pytest.param(
            {"WindowWidth": 0, "VOILUTFunction": "SIGMOID"}, "WindowWidth is", id="sigmoid"
        ),
        pytest.param({"WindowWidth": "nan"}, "WindowWidth is no finite", id="nan"),
        pytest.param({"WindowCenter": "1e999"}, "WindowCenter is no finite", id="infinite"),
        pytest.param({"WindowCenter": "2048,0"}, "WindowCenter is no number", id="comma"),
        pytest.param({"WindowWidth": "4096HU"}, "WindowWidth is no number", id="unit"),
        pytest.param({"WindowCenter": "Doe^Jane"}, "WindowCenter is no number", id="text"),
    ],
)
def test_a_window_that_means_nothing_is_left_out_with_a_warning_that_names_it(
    elements: dict[str, Any], named: str
) -> None:
    window = {"WindowCenter": "100", "WindowWidth": "50"}
    with pydicom.config.disable_value_validation():
        odd = write_with_text(drawn(12), **window | elements)
    (warning,) = decode(odd).warnings
    assert named in warning
    assert "without its window" in warning
    assert "Jane" not in warning
    assert np.array_equal(pixels(odd), pixels(write_dicom(drawn(12), bits=12)))


@pytest.mark.parametrize(
    ("function", "taken_for"),
    [("Linear", "LINEAR"), ("sigmoid", "SIGMOID"), ("DOE JANE", "LINEAR")],
)
def test_a_function_that_the_standard_does_not_spell_so_is_taken_with_a_warning(
    function: str, taken_for: str
) -> None:
    window = {"WindowCenter": 1600, "WindowWidth": 2800}
    with pydicom.config.disable_value_validation():
        odd = write_dicom(drawn(12), bits=12, VOILUTFunction=function, **window)
    (warning,) = decode(odd).warnings
    assert f"VOILUTFunction is none of the standard's; it is taken for {taken_for}" in warning
    assert "JANE" not in warning
    assert_shown(odd, by_formula(drawn(12), 1600, 2800, taken_for))


def test_a_window_that_shows_nothing_is_told_as_that() -> None:
    with pytest.raises(
        UnusableImage, match=r"window \(WindowCenter, WindowWidth\) leaves one flat"
    ):
        decode(write_dicom(drawn(12), bits=12, WindowCenter=40_000, WindowWidth=400))


def test_a_hot_pixel_that_takes_the_range_is_told_as_that() -> None:
    levels = drawn(12)
    levels[3, 3] = 65_535
    with pytest.raises(UnusableImage, match="far brighter or darker ones may have taken the range"):
        decode(write_dicom(levels, bits=16))


@pytest.mark.parametrize("kind", ["ModalityLUTSequence", "VOILUTSequence"])
def test_a_lookup_table_without_anything_in_it_is_none(kind: str) -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", None)
    item.add_new("LUTData", "OW", None)
    window = {"WindowCenter": 1600, "WindowWidth": 2800}
    empty = write_dicom(drawn(12), bits=12, **window, **{kind: [item]})
    assert np.array_equal(pixels(empty), pixels(write_dicom(drawn(12), bits=12, **window)))
    assert decode(empty).warnings == ()


@pytest.mark.parametrize("kind", ["ModalityLUTSequence", "VOILUTSequence"])
def test_a_lookup_table_of_one_entry_too_few_is_read_with_a_warning(kind: str) -> None:
    table = np.arange(4096)[::-1] * 16
    short = write_dicom(
        drawn(12), bits=12, **{kind: [lut_item(0, 16, table[:-1], descriptor=[4096, 0, 16])]}
    )
    whole = write_dicom(drawn(12), bits=12, **{kind: [lut_item(0, 16, table)]})
    assert np.abs(pixels(short).astype(int) - pixels(whole)).max() <= 1
    (warning,) = decode(short).warnings
    assert f"{kind} has one entry less than it says" in warning


def test_entries_of_fewer_bits_than_declared_are_shown_over_their_own_range() -> None:
    narrow = [lut_item(0, 16, np.arange(4096))]
    data = write_dicom(drawn(12), bits=12, VOILUTSequence=narrow)
    assert_shown(data, stretched(drawn(12), 0, 4095))
    (warning,) = decode(data).warnings
    assert "VOILUTSequence has entries of fewer bits than it says" in warning


def write_with_text(levels: np.ndarray, **elements: Any) -> bytes:
    """As `write_dicom`, with decimals that need be none."""
    marked = {
        key: value
        for key, value in elements.items()
        if isinstance(value, str) and key != "VOILUTFunction"
    }
    marks = {key: f"99{index:014}" for index, key in enumerate(marked)}
    data = write_dicom(levels, bits=12, **elements | marks)
    for key, mark in marks.items():
        data = data.replace(mark.encode(), marked[key].ljust(16).encode())
    return data


def test_pixels_are_counted_before_any_is_decoded() -> None:
    data = write_dicom(drawn(), Rows=60_000, Columns=60_000)
    with pytest.raises(TooManyPixels, match="60000 x 60000 pixels"):
        decode(data)
    assert decode(write_dicom(drawn()), max_pixels=53 * 41).image.size == SIZE
    with pytest.raises(TooManyPixels, match=r"53 x 41 pixels; at most 2,172"):
        decode(write_dicom(drawn()), max_pixels=53 * 41 - 1)


@pytest.mark.parametrize(
    "name", ["jpeg-baseline", "jpeg-lossless-sv1", "jpeg-ls", "jpeg-2000-lossless"]
)
@pytest.mark.parametrize("shape", [(2000, 3000), (53, 41), (41, 54)], ids="{}".format)
def test_a_codestream_of_another_size_is_not_decoded(name: str, shape: tuple[int, int]) -> None:
    stream = encode_levels(np.zeros(shape, np.uint8), name, 8)
    with pytest.raises(UnusableImage, match="of another size than the DICOM file says"):
        decode(write_dicom(drawn(), syntax=name, codestream=stream))


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95], ids="{:.0%}".format)
@pytest.mark.parametrize("syntax", [*LOSSLESS, *LOSSY])
def test_a_codestream_that_was_cut_before_it_was_put_into_its_file_is_unusable(
    syntax: str, kept: float
) -> None:
    whole = pydicom.dcmread(io.BytesIO(write_dicom(drawn(), syntax=syntax)))
    stream = get_frame(whole.PixelData, 0, number_of_frames=1)
    whole.PixelData = encapsulate([stream[: int(len(stream) * kept)]])
    cut = io.BytesIO()
    whole.save_as(cut, enforce_file_format=True)

    with pytest.raises(UnusableImage, match=r"cut off or corrupt|header is cut off"):
        decode(cut.getvalue())


@pytest.mark.parametrize(
    ("syntax", "stream", "message"),
    [
        pytest.param("jpeg-baseline", b"\xff\xd8", "header is cut off", id="soi-alone"),
        pytest.param("jpeg-ls", b"hello", "of another kind", id="text"),
        pytest.param("jpeg-2000", b"\xff\x4f\xff\x51" + bytes(9), "header is cut off", id="siz"),
        pytest.param("jpeg-2000", b"\xff\x4f\xff\x51" + bytes(99), "is corrupt", id="siz-of-0"),
        pytest.param(
            "jpeg-2000",
            b"\xff\x4f\xff\x51\0\x29\0\0"
            + struct.pack(">8IH", 530, 410, 0, 0, 1, 1, 0, 0, 1)
            + bytes((7, 1, 1)),
            "more than 4,096 tiles",
            id="tiles-of-one-pixel",
        ),
        pytest.param(
            "jpeg-baseline", b"\xff\xd8\xff\xc5" + bytes(99), "rules out", id="hierarchical"
        ),
        pytest.param("jpeg-baseline", b"\xff\xd8" + b"\xff\xda" * 101, "100 scans", id="scans"),
    ],
)
def test_a_codestream_with_a_bad_head_is_not_decoded(
    syntax: str, stream: bytes, message: str
) -> None:
    with pytest.raises(UnusableImage, match=message):
        decode(write_dicom(drawn(), syntax=syntax, codestream=stream))


@pytest.mark.parametrize(
    ("uid", "message"),
    [
        pytest.param("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile", id="mpeg-4"),
        pytest.param("1.2.840.10008.1.2.4.110", "JPEG XL Lossless, is not read", id="jpeg-xl"),
        pytest.param("1.2.840.10008.1.2.4.112", "JPEG XL, is not read", id="jpeg-xl-lossy"),
        pytest.param("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000", id="htj2k"),
        pytest.param("1.2.3.4", "names no transfer syntax that the standard knows", id="private"),
    ],
)
def test_other_transfer_syntaxes_are_refused_by_name(uid: str, message: str) -> None:
    # pydicom writes no transfer syntax that it does not know.
    known = "1.2.840.10008.1.2.4.203"
    writes = uid if len(uid) < len(known) else known
    data = write_dicom(drawn(), syntax=writes, codestream=b"video ")
    with pytest.raises(UnusableImage, match=message) as caught:
        decode(data.replace(writes.encode(), uid.encode()))
    assert "1.2.3.4" not in str(caught.value)


@pytest.mark.parametrize("shape", [(7, 300), (300, 7), (1, 1)], ids="{}".format)
@pytest.mark.parametrize("syntax", ["explicit-little", "jpeg-ls"])
def test_a_picture_too_small_for_anatomy_is_not_decoded(
    syntax: str, shape: tuple[int, int]
) -> None:
    message = f"The picture is {shape[1]} x {shape[0]} pixels; at least 8 a side are needed."
    levels = np.zeros(shape, np.uint8)
    native = syntax in NATIVE
    no_pixels: dict[str, Any] = {"PixelData" if native else "codestream": b"ab"}
    with pytest.raises(UnusableImage, match=message):
        decode(write_dicom(levels, syntax=syntax, **no_pixels))


def test_a_picture_of_just_the_least_size_is_decoded() -> None:
    levels = np.arange(0, 256, 4, np.uint8).reshape(8, 8)
    assert decode(write_dicom(levels)).image.size == (8, 8)


def test_a_picture_in_endless_fragments_is_not_put_together() -> None:
    data = write_dicom(drawn(), syntax="jpeg-baseline")
    start = data.rindex(b"\xff\xff\xff\xff")
    fragments = b"\xfe\xff\0\xe0\0\0\0\0" * 20_001
    with pytest.raises(UnusableImage, match="more than 20,000 fragments"):
        decode(data[:start] + struct.pack("<I", len(fragments)) + fragments)


def test_what_a_compressed_picture_says_beside_its_pixels_is_not_read() -> None:
    stream = encode_levels(drawn(), "jpeg-baseline", 8)
    index = b"MPF\0II*\0\x08\0\0\0\xff\xff" + b"\0\1\3\0\0\x70\0\0\0\0\0\0" * 4000
    beside = b"\xff\xe2" + struct.pack(">H", len(index) + 2) + index
    odd = write_dicom(
        drawn(), syntax="jpeg-baseline", codestream=stream[:2] + beside * 20 + stream[2:]
    )
    assert np.array_equal(pixels(odd), pixels(write_dicom(drawn(), syntax="jpeg-baseline")))


def test_a_value_of_endless_parts_is_looked_at_only_so_far() -> None:
    data = write_dicom(drawn(), Modality="DX")
    start = data.index(b"\x08\0\x60\0CS")
    long = b"\x08\0\x60\0UN\0\0" + struct.pack("<I", 2_000_000) + b"DX" + b"\\" * 1_999_998
    assert decode(data[:start] + long + data[start + 10 :]).image.size == SIZE


def bomb(size: int) -> bytes:
    data = write_dicom(drawn(), syntax="deflated")
    inflated = pydicom.dcmread(io.BytesIO(data)).PixelData
    assert inflated
    head = write_dicom(drawn(), syntax="deflated")
    start = 132 + 12 + struct.unpack("<I", head[140:144])[0]
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflater.compress(b"\x09\0\1\0UN\0\0" + struct.pack("<I", size) + bytes(size))
    return head[:start] + body + deflater.flush()


def test_a_deflated_file_is_inflated_only_so_far() -> None:
    with pytest.raises(UnusableImage, match="inflates to more"):
        decode(bomb(20_000_000), max_pixels=1_000_000)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xfe\xff\x00\xe0" + bytes(4), id="empty-items"),
        pytest.param(
            b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\x09\0\1\0SQ\0\0\xff\xff\xff\xff", id="nested"
        ),
    ],
)
def test_a_file_of_endless_items_ends_early(body: bytes) -> None:
    head = write_dicom(drawn())
    start = 132 + 12 + struct.unpack("<I", head[140:144])[0]
    sequence = b"\x09\0\1\0SQ\0\0\xff\xff\xff\xff" + body * 200_000
    with pytest.raises(UnusableImage, match="truncated or corrupt"):
        decode(head[:start] + sequence)


FILES = {
    "explicit-little": write_dicom(drawn(12), bits=12, WindowCenter=2000, WindowWidth=3000),
    "explicit-big": write_dicom(drawn(12), bits=12, syntax="explicit-big"),
    "deflated": write_dicom(drawn(12), bits=12, syntax="deflated"),
    **{
        syntax: write_dicom(
            drawn(), syntax=syntax, VOILUTSequence=[lut_item(0, 16, np.arange(256) * 256)]
        )
        for syntax in (*LOSSLESS, "jpeg-baseline", "jpeg-ls-near")
    },
}


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99], ids="{:.0%}".format)
@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_unusable(name: str, kept: float) -> None:
    with pytest.raises(UnusableImage):
        decode(FILES[name][: int(len(FILES[name]) * kept)])


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_changed_in_a_file_only_its_sender_is_blamed(name: str) -> None:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for _ in range(60):
        data = np.frombuffer(FILES[name], np.uint8).copy()
        places = rng.integers(132, len(data), rng.integers(1, 9))
        data[places] = rng.integers(0, 256, len(places))
        with contextlib.suppress(SenderError):
            assert decode(data.tobytes(), max_pixels=100_000).image.mode == "L"


# What is warned of, and what is not said.


@pytest.mark.parametrize("position", ["LL", "RL", "LLAT", "RLAT", "LAT", "LATERAL"])
def test_a_lateral_view_is_answered_with_a_warning(position: str) -> None:
    (warning,) = decode(write_dicom(drawn(), ViewPosition=position)).warnings
    assert "lateral view; the model was trained on frontal ones" in warning


@pytest.mark.parametrize("code", ["399173006", "R-10236"])
def test_a_lateral_view_by_its_code_is_warned_of_too(code: str) -> None:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", "left lateral"
    (warning,) = decode(write_dicom(drawn(), ViewCodeSequence=[item])).warnings
    assert "lateral" in warning


@pytest.mark.parametrize("position", ["PA", "AP", "LLD", "RLD", "", "LLO"])
def test_other_views_are_answered_without_one(position: str) -> None:
    data = write_dicom(drawn(), ViewPosition=position, BodyPartExamined="CHEST")
    assert decode(data).warnings == ()


@pytest.mark.parametrize(
    ("orientation", "is_lateral"),
    [(["A", "F"], True), (["P", "F"], True), (["L", "F"], False), (["R", "H"], False)],
)
def test_a_lateral_view_by_its_orientation_is_warned_of_too(
    orientation: list[str], is_lateral: bool
) -> None:
    warnings = decode(write_dicom(drawn(), PatientOrientation=orientation)).warnings
    assert [("lateral" in warning) for warning in warnings] == [True] * is_lateral


def test_raw_data_of_a_detector_are_warned_of() -> None:
    (warning,) = decode(write_dicom(drawn(), PresentationIntentType="FOR PROCESSING")).warnings
    assert "PresentationIntentType is FOR PROCESSING" in warning
    assert decode(write_dicom(drawn(), PresentationIntentType="FOR PRESENTATION")).warnings == ()


@pytest.mark.parametrize(
    ("photometric", "shape", "contradicts"),
    [
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "INVERSE", False),
        ("MONOCHROME2", "IDENTITY", False),
    ],
)
def test_a_polarity_that_contradicts_itself_is_warned_of(
    photometric: str, shape: str, contradicts: bool
) -> None:
    data = write_dicom(drawn(), photometric=photometric, PresentationLUTShape=shape)
    found = [("PresentationLUTShape" in warning) for warning in decode(data).warnings]
    assert found == [True] * contradicts


@pytest.mark.parametrize(
    ("character_set", "part"),
    [
        ("ISO_IR 100", "TÓRAX"),
        ("ISO_IR 192", "TÓRAX"),
        ("ISO_IR 100", "Brust"),
        ("ISO_IR 100", "POITRINE"),
        ("ISO_IR 144", "ГРУДЬ"),
        ("ISO_IR 192", "грудная клетка"),
        ("\\ISO 2022 IR 87", "胸部"),
        ("ISO_IR 192", "胸部"),
        ("", "胸部"),
        ("", "THORAX"),
    ],
)
def test_a_chest_in_another_language_is_a_chest(character_set: str, part: str) -> None:
    names = character_set.split("\\") if character_set else ["ISO_IR 192"]
    coded = encode_string(part, convert_encodings(names))
    with pydicom.config.disable_value_validation():
        data = write_dicom(drawn(), SpecificCharacterSet=names, BodyPartExamined="9" * 40)
    odd = data.replace(b"9" * 40, coded.ljust(40))
    if not character_set:
        odd = odd.replace(b"ISO_IR 192", b" " * 10)
    assert odd != data
    assert decode(odd).warnings == ()


def test_another_body_part_is_answered_with_a_warning_that_does_not_repeat_it() -> None:
    (warning,) = decode(write_dicom(drawn(), BodyPartExamined="KNEE")).warnings
    assert "not the chest" in warning
    assert "KNEE" not in warning


def test_nothing_of_a_file_is_logged_warned_of_or_printed(tmp_path: Path) -> None:
    """In a process of its own: pytest resets what Python does with warnings."""
    odd = write_dicom(drawn(), SpecificCharacterSet="ISO_IR 6", ViewPosition="Doe Jane")
    (tmp_path / "charset").write_bytes(odd.replace(b"ISO_IR 6", b"Doe^Jane"))
    (tmp_path / "padded").write_bytes(write_dicom(drawn(), PixelData=bytes(53 * 41 + 99)))
    for name in ("jpeg-lossless", "jpeg-2000", "rle", "explicit-little"):
        data = write_dicom(drawn(), syntax=name)
        (tmp_path / name).write_bytes(data)
        (tmp_path / f"{name}-zeroed").write_bytes(data[:-900] + bytes(900))
    code = f"""if True:
        import logging, pathlib
        logging.basicConfig(level=1)
        logging.getLogger("PIL").setLevel(logging.CRITICAL)
        from app.xray.decode import decode
        from app.xray.errors import SenderError
        for path in pathlib.Path({str(tmp_path)!r}).iterdir():
            try:
                decode(path.read_bytes())
            except SenderError:
                pass
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not run.stdout
    assert "Doe" not in run.stderr
    assert "pydicom" not in run.stderr


def test_pydicom_is_not_imported_before_the_first_file_comes() -> None:
    code = (
        "import sys, app.xray.preprocess; "
        "print([name for name in ('pydicom', 'gdcm', 'pylibjpeg') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
