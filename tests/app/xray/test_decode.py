from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from app.xray.decode import decode, sniff
from app.xray.errors import SenderError, TooManyPixels, UnsupportedImageType, UnusableImage
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode, png_declaring, write_png


def test_a_type_is_decided_from_the_first_bytes(png: bytes, jpeg: bytes) -> None:
    assert (sniff(png), sniff(jpeg)) == ("PNG", "JPEG")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="text"),
        pytest.param(b"\xff\xd8", id="half-a-jpeg-signature"),
    ],
)
def test_what_is_of_no_known_type_is_not_opened(data: bytes) -> None:
    with pytest.raises(UnsupportedImageType, match="those of no JPEG, PNG or DICOM"):
        decode(data)


def test_dicom_is_known_behind_its_preamble() -> None:
    assert sniff(b"II*\0".ljust(128, b"\0") + b"DICM") == "DICOM"


@pytest.mark.parametrize("magic", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\0", b"GIF89a"])
def test_a_preamble_that_begins_like_another_type_is_one_all_the_same(magic: bytes) -> None:
    data = write_dicom(np.asarray(draw_radiograph()))
    odd = magic + data[len(magic) :]
    assert np.array_equal(decode(odd).image, decode(data).image)


def test_a_jpeg_that_happens_to_have_the_letters_of_dicom_is_a_jpeg(jpeg: bytes) -> None:
    comment = b"\xff\xfe\0\x80" + bytes(122) + b"DICM"
    assert (jpeg[:2] + comment)[128:132] == b"DICM"
    assert sniff(jpeg[:2] + comment + jpeg[2:]) == "JPEG"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95], ids="{:.0%}".format)
def test_a_truncated_file_is_unusable(kind: str, kept: float) -> None:
    data = encode(draw_radiograph(), kind)
    with pytest.raises(UnusableImage, match=f"The {kind} file.* truncated or corrupt"):
        decode(data[: int(len(data) * kept)])


def test_a_corrupt_file_is_unusable(png: bytes) -> None:
    middle = len(png) // 2
    with pytest.raises(UnusableImage, match="corrupt"):
        decode(png[:middle] + bytes(64) + png[middle + 64 :])


@pytest.mark.parametrize("lost", [12, 20, 500], ids="{} bytes".format)
@pytest.mark.parametrize("filled", [True, False], ids=["zeroed", "cut"])
def test_a_png_that_lost_its_tail_is_unusable(lost: int, filled: bool, png: bytes) -> None:
    with pytest.raises(UnusableImage, match="truncated or corrupt"):
        decode(png[:-lost] + bytes(lost if filled else 0))


def test_a_signature_alone_is_unusable() -> None:
    with pytest.raises(UnusableImage, match="truncated or corrupt"):
        decode(b"\x89PNG\r\n\x1a\n")


def test_a_palette_that_is_missing_makes_a_png_unusable() -> None:
    data = encode(draw_radiograph().quantize(8))
    start = data.index(b"PLTE") - 4
    length = int.from_bytes(data[start : start + 4], "big") + 12
    with pytest.raises(UnusableImage, match="lacks the palette"):
        decode(data[:start] + data[start + length :])


def test_bytes_like_scans_in_a_picture_that_has_but_one_do_no_harm() -> None:
    data = encode(draw_radiograph(), "JPEG")
    comment = b"\xff\xda" * 200
    head = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    assert decode(data[:2] + head + data[2:]).image.size == (300, 260)


def test_a_jpeg_of_endless_scans_is_not_decoded() -> None:
    data = encode(draw_radiograph(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert decode(data[:-2] + scan * 20 + data[-2:]).image.size == (300, 260)
    with pytest.raises(UnusableImage, match="more than 100 scans"):
        decode(data[:-2] + scan * 100 + data[-2:])


def test_an_animation_is_unusable() -> None:
    frames = [draw_radiograph(seed) for seed in range(3)]
    data = encode(frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(UnusableImage, match="animation"):
        decode(data)


def test_of_a_jpeg_with_a_preview_behind_it_the_first_picture_is_taken() -> None:
    first, preview = draw_radiograph(1), draw_radiograph(2, (30, 26))
    data = encode(first, "MPO", save_all=True, append_images=[preview], quality=90)
    alone = encode(first, "JPEG", quality=90)
    assert np.array_equal(decode(data).image, decode(alone).image)


@pytest.mark.parametrize(
    ("width", "height"),
    [(60_000, 60_000), (10_000, 10_000), (65_536, 1), (1, 50_000_000)],
    ids=["past-pillows-limit", "past-ours", "too-wide", "a-pixel-wide"],
)
def test_pixels_are_counted_before_any_is_decoded(width: int, height: int) -> None:
    with pytest.raises(TooManyPixels):
        decode(png_declaring(width, height))


def test_a_picture_of_just_as_many_pixels_as_allowed_is_decoded(png: bytes) -> None:
    assert decode(png, max_pixels=300 * 260).image.size == (300, 260)
    with pytest.raises(TooManyPixels, match=r"300 x 260 pixels; at most 77,999"):
        decode(png, max_pixels=300 * 260 - 1)


def test_no_error_holds_a_name_or_content_of_the_file() -> None:
    with pytest.raises(SenderError) as caught:
        decode(b"\x89PNG\r\n\x1a\nPatient^Name")
    assert "Patient" not in str(caught.value)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    upright = np.zeros((40, 60), np.uint8)
    upright[:10, :20] = 255
    # How EXIF 2.32, section 4.6.4, says that each value was stored.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = np.asarray(decode(encode(Image.fromarray(stored), kind, exif=exif)).image)
    assert decoded.shape == upright.shape
    assert np.abs(decoded.astype(int) - upright).mean() < 2


def test_an_orientation_beside_tags_of_strange_types_is_applied(jpeg: bytes) -> None:
    """Orientation 6 and a width that is text: Pillow cannot write such EXIF back."""
    width = struct.pack(">HHI4s", 0x0100, 2, 2, b"x\0\0\0")
    turn = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    block = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + width + turn + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    found = np.asarray(decode(jpeg[:2] + segment + jpeg[2:]).image)
    assert np.array_equal(found, np.rot90(np.asarray(decode(jpeg).image), -1))


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_is_none_leaves_the_picture_as_it_is(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = draw_radiograph()
    assert np.array_equal(decode(encode(image, exif=exif)).image, image)


def test_broken_exif_beside_sound_pixels_does_no_harm(jpeg: bytes) -> None:
    broken = b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"
    segment = b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken
    assert np.array_equal(decode(jpeg[:2] + segment + jpeg[2:]).image, decode(jpeg).image)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 65535), (0, 4095), (30_000, 34_095), (60_000, 65_535)]
)
def test_16_bit_gray_is_spread_over_its_own_range(low: int, high: int) -> None:
    ramp = np.linspace(low, high, 32 * 32).astype(np.uint16).reshape(32, 32)
    decoded = np.asarray(decode(encode(Image.fromarray(ramp))).image)
    assert decoded.dtype == np.uint8
    expected = (ramp.astype(float) - low) / (high - low) * 255
    assert np.abs(decoded - expected).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("channels", [2, 3, 4], ids=["gray-alpha", "rgb", "rgba"])
def test_16_bits_with_alpha_or_color_are_spread_too_as_far_as_pillow_reads_them(
    channels: int,
) -> None:
    twelve_bits = np.asarray(draw_radiograph()).astype(np.uint16)[..., None] * 16
    film = np.repeat(twelve_bits, channels, axis=2)
    if channels in {2, 4}:
        film[..., -1] = 65_535
    decoded = np.asarray(decode(write_png(film)).image)
    upper_bits = twelve_bits >> 8
    low, high = upper_bits.min(), upper_bits.max()
    expected = np.rint((upper_bits - low) * (255 / (high - low)))
    assert np.array_equal(decoded[..., :3], np.repeat(expected, 3, axis=2))


@pytest.mark.parametrize("orientation", [3, 6])
def test_16_bit_gray_is_turned_upright_too(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.arange(33 * 40, dtype=np.uint16).reshape(33, 40) * 40
    decoded = np.asarray(decode(encode(Image.fromarray(stored), exif=exif)).image)
    turned = np.rot90(stored, {3: 2, 6: -1}[orientation])
    assert np.array_equal(decoded, np.rint(turned * (255 / (40 * (33 * 40 - 1)))))


@pytest.mark.parametrize(
    "levels",
    [
        pytest.param(np.full((40, 40), 40_000, np.uint16), id="16-bits"),
        pytest.param(np.zeros((40, 40), np.uint8), id="black"),
        pytest.param(np.full((40, 40, 3), 255, np.uint8), id="white-rgb"),
    ],
)
@pytest.mark.parametrize("hot", [0, 1], ids=["flat", "one-hot-pixel"])
def test_a_picture_that_shows_nothing_is_told_as_that(levels: np.ndarray, hot: int) -> None:
    levels = levels.copy()
    levels[7, 9] = levels[7, 9] if not hot else 128
    with pytest.raises(UnusableImage, match="shows nothing: nearly all of its pixels"):
        decode(encode(Image.fromarray(levels)))


@pytest.mark.parametrize("bits", [12, 16])
def test_a_jpeg_of_more_bits_is_told_as_that(bits: int) -> None:
    levels = np.asarray(draw_radiograph()).astype(np.uint16) << (bits - 8)
    data = imagecodecs.jpeg8_encode(levels, bitspersample=bits, lossless=bits == 16)
    with pytest.raises(UnusableImage, match=f"has {bits} bits for a sample; 8 are read"):
        decode(data)


@pytest.mark.parametrize("junk", [b"hello", bytes(4), b"\xff\0\xff\0", b"\xff" * 9])
def test_what_stands_between_the_segments_of_a_jpeg_is_passed_over(
    junk: bytes, jpeg: bytes
) -> None:
    behind = 4 + int.from_bytes(jpeg[4:6], "big")
    assert np.array_equal(decode(jpeg[:behind] + junk + jpeg[behind:]).image, decode(jpeg).image)


def test_a_picture_keeps_its_size_and_8_bit_mode() -> None:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        image = draw_radiograph().convert(mode)
        decoded = decode(encode(image)).image
        assert (decoded.mode, decoded.size) == (mode, image.size)


def test_the_file_is_read_from_memory_only(png: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr("builtins.open", refuse)
    assert decode(png).image.size == (300, 260)
