"""Whatever is sent, it is decoded or its sender is told why not; nothing else happens."""

from __future__ import annotations

import base64
import contextlib
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.xray.contract import ModelContract
from app.xray.decode import MIN_SIDE, decode
from app.xray.errors import (
    SenderError,
    TooManyPixels,
    UnsupportedImageType,
    UnusableImage,
    WrongModality,
)
from app.xray.preprocess import preprocess
from benchmarks.rig.corpus import fuzz, hostile, mutated, seeds
from benchmarks.rig.corpus.chunks import SIGNATURE, Chunk, gray, header, join
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode, png_declaring, write_png
from benchmarks.rig.corpus.hostile import (
    BOMB,
    HTML,
    LOOP,
    dicom_behind,
    dicom_declaring,
    dicom_of,
    dicom_with,
    jpeg,
    jpeg_declaring,
    jpeg_with,
    png_around,
    png_of,
    png_with,
    segment,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTRACT = ModelContract.recipe_of_2022()
STEADY = settings(derandomize=True, deadline=None, database=None, max_examples=150)
HEADER, PIXELS, END = gray(64, 48)
PALETTE = Chunk(b"PLTE", bytes(range(48)))


@pytest.fixture(autouse=True, scope="module")
def _any_contrast() -> Iterator[None]:
    """Pictures are drawn here for their form; most show nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.xray.decode.radiograph._FLAT_LEVELS", 0)
        yield


def animation_of(frames: int) -> bytes:
    return png_with(Chunk(b"acTL", struct.pack(">II", frames, 0)))


def empty(kind: bytes) -> bytes:
    return join([Chunk(kind, b"")])[len(SIGNATURE) :]


def changed(data: bytes) -> bytes:
    """As `data`, but for one byte in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes((data[middle] ^ 0x55,)) + data[middle + 1 :]


class Refused(NamedTuple):
    leaf: type[SenderError]
    because: str
    make: Callable[[], bytes]


NO_TYPE = UnsupportedImageType, "those of no JPEG, PNG or DICOM file"
NO_JPEG = UnusableImage, "JPEG file.* truncated or corrupt"
NO_PNG = UnusableImage, "PNG file.* truncated or corrupt"
TINY = UnusableImage, rf"The picture is \d+ x \d+ pixels; at least {MIN_SIDE} a side are needed\."
HUGE = TooManyPixels, "pixels"
CHUNKS = UnusableImage, "The PNG file has more than 20,000 chunks"
SEGMENTS = UnusableImage, "has more than 20,000 segments"
ANIMATION = UnusableImage, "an animation; send a single picture"
NO_DICOM = UnusableImage, "The DICOM file is truncated or corrupt"

REFUSED = {
    # Of other types, whatever their names or headers say: decoding sees neither.
    "nothing": Refused(*NO_TYPE, lambda: b""),
    "a-megabyte-of-zeros": Refused(*NO_TYPE, lambda: bytes(1_000_000)),
    "text": Refused(*NO_TYPE, lambda: b"a chest X-ray"),
    "gif": Refused(
        UnsupportedImageType, "The file is a GIF", lambda: encode(draw_radiograph(), "GIF")
    ),
    "webp": Refused(
        UnsupportedImageType, "The file is a WebP", lambda: encode(draw_radiograph(), "WEBP")
    ),
    "bmp": Refused(
        UnsupportedImageType, "The file is a BMP", lambda: encode(draw_radiograph(), "BMP")
    ),
    "ico": Refused(*NO_TYPE, lambda: encode(draw_radiograph(), "ICO")),
    "tiff": Refused(
        UnsupportedImageType, "The file is a TIFF", lambda: encode(draw_radiograph(), "TIFF")
    ),
    "tiff-of-nans": Refused(UnsupportedImageType, "The file is a TIFF", hostile.float_tiff),
    "jpeg-2000": Refused(
        UnsupportedImageType,
        "The file is a JPEG 2000",
        lambda: encode(draw_radiograph(), "JPEG2000"),
    ),
    "numpy": Refused(
        UnsupportedImageType,
        "The file is a NumPy",
        lambda: b"\x93NUMPY\1\0" + hostile.NANS.tobytes(),
    ),
    "svg": Refused(
        UnsupportedImageType,
        "The file is an SVG",
        lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>',
    ),
    "pdf": Refused(UnsupportedImageType, "The file is a PDF", lambda: b"%PDF-1.7\n%%EOF"),
    "zip": Refused(
        UnsupportedImageType, "The file is a zip", lambda: hostile.archive("chest.jpg", jpeg())
    ),
    "html": Refused(UnsupportedImageType, "The file is an HTML", lambda: HTML),
    "gzip-of-a-jpeg": Refused(
        UnsupportedImageType,
        "The file is a compressed",
        lambda: b"\x1f\x8b" + zlib.compress(jpeg(), wbits=-15),
    ),
    "data-uri": Refused(
        UnsupportedImageType,
        "The file is a data URI",
        lambda: b"data:image/jpeg;base64," + base64.b64encode(jpeg()),
    ),
    "byte-order-mark-before-a-png": Refused(*NO_TYPE, lambda: b"\xef\xbb\xbf" + png_with()),
    "png-after-a-text-transfer": Refused(*NO_TYPE, lambda: png_with().replace(b"\r\n", b"\n")),
    "two-bytes-of-a-jpeg": Refused(*NO_TYPE, lambda: b"\xff\xd8"),
    "gif-head-then-jpeg": Refused(
        UnsupportedImageType, "The file is a GIF", lambda: b"GIF89a" + jpeg()
    ),
    "pdf-around-a-jpeg": Refused(
        UnsupportedImageType, "The file is a PDF", lambda: hostile.pdf_around(jpeg())
    ),
    "html-before-a-png": Refused(
        UnsupportedImageType, "The file is an HTML", lambda: HTML + png_with()
    ),
    # JPEG.
    "jpeg-signature": Refused(*NO_JPEG, lambda: b"\xff\xd8\xff"),
    "jpeg-cut-in-its-head": Refused(*NO_JPEG, lambda: jpeg()[:200]),
    "jpeg-cut-in-its-scan": Refused(*NO_JPEG, lambda: jpeg()[:-300]),
    "jpeg-of-zeros": Refused(*NO_JPEG, lambda: b"\xff\xd8\xff\xe0" + bytes(5000)),
    "jpeg-of-ones": Refused(*NO_JPEG, lambda: b"\xff\xd8" + b"\xff" * 1_000_000),
    "jpeg-without-a-frame": Refused(*NO_JPEG, lambda: jpeg().replace(b"\xff\xc0", b"\xff\xfe")),
    "jpeg-of-two-frames": Refused(
        *NO_JPEG, lambda: jpeg_with(segment(0xC0, b"\x08\x40\0\x40\0\1\1\x11\0"))
    ),
    "jpeg-of-a-million-restarts": Refused(*NO_JPEG, lambda: jpeg_with(b"\xff\xd0" * 1_000_000)),
    "jpeg-of-12-bits": Refused(
        UnusableImage, "12 bits for a sample", lambda: jpeg().replace(b"\0\x0b\x08", b"\0\x0b\x0c")
    ),
    "jpeg-with-megabytes-of-tables": Refused(
        *NO_JPEG, lambda: jpeg_with(segment(0xDB, bytes(65_000)) * 20)
    ),
    "jpeg-of-a-million-markers": Refused(
        *SEGMENTS, lambda: jpeg_with(segment(0xFE, b"") * 1_000_000)
    ),
    "jpeg-of-60000-app-segments": Refused(
        *SEGMENTS, lambda: jpeg_with(segment(0xE1, b"Exif\0\0") * 60_000)
    ),
    "jpeg-of-1x1": Refused(*TINY, lambda: jpeg((1, 1))),
    "jpeg-of-1x65000": Refused(*TINY, lambda: jpeg((1, 65_000))),
    "jpeg-of-65000x1": Refused(*TINY, lambda: jpeg((65_000, 1))),
    "jpeg-of-60000x60000": Refused(*HUGE, lambda: jpeg_declaring(60_000, 60_000)),
    "jpeg-of-no-width": Refused(*NO_JPEG, lambda: jpeg_declaring(0, 100)),
    # PNG.
    "png-signature": Refused(*NO_PNG, lambda: SIGNATURE),
    "png-cut-in-its-head": Refused(*NO_PNG, lambda: png_with()[:30]),
    "png-cut-in-its-pixels": Refused(*NO_PNG, lambda: png_with()[:-30]),
    "png-without-its-end": Refused(*NO_PNG, lambda: png_with()[:-12]),
    "png-with-a-byte-changed": Refused(*NO_PNG, lambda: changed(png_with())),
    "png-with-a-byte-changed-beside-the-pixels": Refused(
        *NO_PNG, lambda: changed(png_with(Chunk(b"tEXt", bytes(500))))
    ),
    "png-of-zeros": Refused(*NO_PNG, lambda: SIGNATURE + bytes(5000)),
    "png-of-pixels-that-do-not-inflate": Refused(
        *NO_PNG, lambda: join([HEADER, Chunk(b"IDAT", b"pixels"), END])
    ),
    "png-without-pixels": Refused(UnusableImage, "no IDAT", lambda: join([HEADER, END])),
    "png-whose-header-comes-second": Refused(
        *NO_PNG, lambda: join([Chunk(b"tEXt", bytes(16)), HEADER, PIXELS, END])
    ),
    "png-of-two-headers": Refused(
        *NO_PNG, lambda: join([HEADER, header(64, 48, bits=16), PIXELS, END])
    ),
    "png-of-a-depth-that-there-is-not": Refused(
        *NO_PNG, lambda: join([header(64, 48, bits=5), PIXELS, END])
    ),
    "png-of-16-bits-for-a-palette": Refused(
        *NO_PNG, lambda: join([header(64, 48, bits=16, color_type=3), PALETTE, PIXELS, END])
    ),
    "png-without-its-palette": Refused(
        UnusableImage,
        "lacks the palette",
        lambda: join([header(64, 48, color_type=3), Chunk(b"tEXt", b"PLTE"), PIXELS, PALETTE, END]),
    ),
    "png-of-a-million-empty-chunks": Refused(
        *CHUNKS, lambda: png_around(before=empty(b"tESt") * 1_000_000)
    ),
    "png-of-a-million-empty-chunks-at-its-end": Refused(
        *CHUNKS, lambda: png_around(after=empty(b"tESt") * 1_000_000)
    ),
    "png-of-a-million-empty-pixel-chunks": Refused(
        *CHUNKS, lambda: png_around(before=empty(b"IDAT") * 1_000_000)
    ),
    "png-of-two-frames": Refused(*ANIMATION, lambda: animation_of(2)),
    "png-of-two-billion-frames": Refused(*ANIMATION, lambda: animation_of(0x7FFF_FFFF)),
    "png-of-one-frame-and-another-picture": Refused(
        *ANIMATION,
        lambda: png_with(
            Chunk(b"acTL", struct.pack(">II", 1, 0)),
            after=[Chunk(b"fdAT", b"\0\0\0\1" + PIXELS.content)],
        ),
    ),
    "png-animated-by-pillow": Refused(
        *ANIMATION,
        lambda: encode(draw_radiograph(1), save_all=True, append_images=[draw_radiograph(2)]),
    ),
    "png-of-1x1": Refused(*TINY, lambda: png_of(1, 1)),
    "png-of-1x65000": Refused(*TINY, lambda: png_of(1, 65_000)),
    "png-of-65000x1": Refused(*TINY, lambda: png_of(65_000, 1)),
    "png-of-7x8": Refused(*TINY, lambda: png_of(7, 8)),
    "png-of-60000x60000": Refused(*HUGE, lambda: png_declaring(60_000, 60_000)),
    "png-of-4-billion-a-side": Refused(*HUGE, lambda: png_declaring(0xFFFF_FFFF, 0xFFFF_FFFF)),
    "png-of-no-width": Refused(*NO_PNG, lambda: png_declaring(0, 100)),
    # DICOM.
    "dicom-signature": Refused(UnusableImage, "holds no picture", lambda: bytes(128) + b"DICM"),
    "dicom-of-noise": Refused(
        *NO_DICOM, lambda: bytes(128) + b"DICM" + np.random.default_rng(0).bytes(5000)
    ),
    "dicom-cut-in-its-pixels": Refused(
        UnusableImage, "cut off within PixelData", lambda: dicom_of(64, 48)[:-300]
    ),
    "dicom-of-nans": Refused(
        UnusableImage, "32 bits for a sample", lambda: hostile.dicom_of_floats("PixelData")
    ),
    "dicom-of-float-pixel-data": Refused(
        UnusableImage, "no PixelData", lambda: hostile.dicom_of_floats("FloatPixelData")
    ),
    "dicom-of-a-million-elements": Refused(
        *NO_DICOM, lambda: dicom_with(b"\x09\0\1\0UL\0\0" * 1_000_000)
    ),
    "dicom-of-sequences-in-sequences": Refused(
        *NO_DICOM,
        lambda: dicom_with(
            (b"\x09\0\1\0SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff") * 50_000
        ),
    ),
    "dicom-of-1x1": Refused(*TINY, lambda: dicom_of(1, 1)),
    "dicom-of-1x65000": Refused(*TINY, lambda: dicom_of(1, 65_000)),
    "dicom-of-65000x1": Refused(*TINY, lambda: dicom_of(65_000, 1)),
    "dicom-of-60000x60000": Refused(*HUGE, lambda: dicom_declaring(60_000, 60_000)),
    "dicom-of-no-rows": Refused(UnusableImage, "without pixels", lambda: dicom_declaring(64, 0)),
    "dicom-of-a-ct": Refused(
        WrongModality, "CT", lambda: write_dicom(np.zeros((48, 64), np.uint8), Modality="CT")
    ),
}

DECODED: dict[str, Callable[[], bytes]] = {
    "jpeg-before-a-zip": lambda: jpeg() + hostile.archive("x.sh", b"rm"),
    "jpeg-before-another": lambda: jpeg() + jpeg((300, 260)),
    "jpeg-with-html-as-its-comment": lambda: jpeg_with(segment(0xFE, HTML)),
    "jpeg-with-a-megabyte-of-fill": lambda: jpeg_with(b"\xff" * 1_000_000),
    "jpeg-of-10000-app-segments": lambda: jpeg_with(segment(0xE1, b"Exif\0\0") * 10_000),
    "jpeg-of-profiles-that-contradict": lambda: jpeg_with(
        *(segment(0xE2, b"ICC_PROFILE\0" + bytes((7, count))) for count in range(255))
    ),
    "jpeg-with-an-index-of-pictures-that-lies": lambda: jpeg_with(
        segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff" + b"\2\xb0\3\0\xff\xff\0\0\0\0\0\0" * 5000)
    ),
    "jpeg-with-broken-photoshop-data": lambda: jpeg_with(
        segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\1x")
    ),
    "png-before-html": lambda: png_with() + HTML,
    "png-with-html-inside": lambda: png_with(Chunk(b"tEXt", b"Comment\0" + HTML)),
    "png-of-text-that-inflates": lambda: png_with(
        *[Chunk(b"zTXt", b"k\0\0" + BOMB), Chunk(b"iTXt", b"k\0\1\0\0\0" + BOMB)] * 50
    ),
    "png-of-profiles-that-inflate": lambda: png_with(*[Chunk(b"iCCP", b"k\0\0" + BOMB)] * 100),
    "png-of-more-pixels-than-it-has-room-for": lambda: join([HEADER, Chunk(b"IDAT", BOMB), END]),
    "png-of-one-frame": lambda: animation_of(1),
    "png-with-frames-behind-its-pixels": lambda: png_with(
        after=[Chunk(b"acTL", struct.pack(">II", 9, 0)), Chunk(b"fdAT", bytes(50))]
    ),
    "png-with-broken-chunks-beside-its-pixels": lambda: png_with(
        *(Chunk(kind, b"x") for kind in b"tRNS gAMA cHRM sRGB pHYs iCCP fcTL eXIf tIME".split())
    ),
    "png-whose-transparent-level-is-none": lambda: png_with(Chunk(b"tRNS", b"\xff\xff")),
    "dicom-behind-a-tiff-head": lambda: dicom_behind(hostile.float_tiff()),
    "dicom-behind-a-pdf-head": lambda: dicom_behind(hostile.pdf_around(b"")),
    "dicom-before-a-zip": lambda: dicom_of(64, 48) + hostile.archive("x.sh", b"rm"),
}


@pytest.mark.parametrize("hostile_file", REFUSED.values(), ids=REFUSED.keys())
def test_a_hostile_file_is_refused_for_what_it_is(hostile_file: Refused) -> None:
    with pytest.raises(SenderError, match=hostile_file.because) as caught:
        decode(hostile_file.make())
    assert type(caught.value) is hostile_file.leaf


@pytest.mark.parametrize("make", DECODED.values(), ids=DECODED.keys())
def test_what_stands_beside_sound_pixels_changes_nothing(make: Callable[[], bytes]) -> None:
    data = make()
    plain = jpeg() if data.startswith(b"\xff\xd8") else png_of(64, 48)
    assert np.array_equal(preprocess(data, CONTRACT), preprocess(plain, CONTRACT))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg_with(segment(0xE1, b"Exif\0\0" + LOOP)), id="jpeg"),
        pytest.param(png_with(Chunk(b"eXIf", LOOP)), id="png"),
        pytest.param(png_with(after=[Chunk(b"eXIf", b"Exif\0\0" + LOOP)]), id="png-as-in-a-jpeg"),
    ],
)
def test_exif_that_loops_is_read_once(data: bytes) -> None:
    assert decode(data).image.size == (48, 64)


def test_nothing_of_a_refused_file_is_repeated() -> None:
    marked = b"Doe^Jane"
    for data in (
        SIGNATURE + marked * 9,
        b"\xff\xd8\xff" + marked * 9,
        bytes(128) + b"DICM" + marked,
    ):
        with pytest.raises(SenderError) as caught:
            decode(data)
        assert "Doe" not in str(caught.value)


@STEADY
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\x10JFIF\0", SIGNATURE])
    | st.sampled_from([png_with()[:33], bytes(128) + b"DICM", dicom_of(64, 48)[:400]]),
    st.binary(max_size=400),
)
def test_of_arbitrary_bytes_only_the_sender_is_blamed(start: bytes, rest: bytes) -> None:
    with contextlib.suppress(SenderError):
        preprocess(start + rest, CONTRACT, max_pixels=100_000)


@STEADY
@given(st.sampled_from(seeds()), st.data())
def test_of_a_file_that_is_cut_and_joined_only_the_sender_is_blamed(
    file: bytes, drawn: st.DataObject
) -> None:
    start, end = sorted(drawn.draw(st.tuples(*[st.integers(0, len(file))] * 2)))
    with contextlib.suppress(SenderError):
        preprocess(file[:start] + drawn.draw(st.binary(max_size=40)) + file[end:], CONTRACT)


def picture(mode: str, width: int, height: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    colors = rng.integers(0, rng.integers(1, 257), (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(colors).convert(mode)
    if mode in {"LA", "RGBA"}:
        image.putalpha(Image.fromarray(colors[..., 0]))
    return image


SIDES = st.integers(MIN_SIDE, 90)
FILES: dict[str, Callable[[int, int, int], bytes]] = {
    **{
        f"png-{mode}": lambda width, height, seed, mode=mode: encode(
            picture(mode, width, height, seed), compress_level=1
        )
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA")
    },
    **{
        f"jpeg-{mode}": lambda width, height, seed, mode=mode: encode(
            picture(mode, width, height, seed), "JPEG", quality=seed % 100 + 1, progressive=seed % 2
        )
        for mode in ("L", "RGB", "CMYK")
    },
    "png-of-16-bits": lambda width, height, seed: write_png(
        np.random.default_rng(seed).integers(0, 1 << 16, (height, width, 1 + seed % 4), np.uint16)
    ),
    "dicom": lambda width, height, seed: write_dicom(
        np.asarray(picture("L", width, height, seed)),
        syntax=("explicit-little", "implicit-little", "rle", "jpeg-baseline")[seed % 4],
    ),
}


@pytest.mark.parametrize("make", FILES.values(), ids=FILES.keys())
@settings(STEADY, max_examples=25)
@given(width=SIDES, height=SIDES, seed=st.integers(0, 9999), trailing=st.binary(max_size=60))
def test_every_sound_picture_becomes_model_input_whatever_follows_it(
    make: Callable[[int, int, int], bytes], width: int, height: int, seed: int, trailing: bytes
) -> None:
    data = make(width, height, seed)
    found = preprocess(data, CONTRACT)
    assert (found.dtype, found.shape) == (np.float32, (224, 224, 3))
    assert np.isfinite(found).all()
    assert 0 <= found.min() <= found.max() <= 1
    assert np.array_equal(preprocess(data, CONTRACT), found)
    assert np.array_equal(preprocess(data + trailing, CONTRACT), found)


def test_of_ten_thousand_mutated_files_only_the_senders_are_blamed() -> None:
    decoded = 0
    for data in mutated(10_000, seed=2022):
        with contextlib.suppress(SenderError):
            image = decode(data, max_pixels=250_000).image
            decoded += min(image.size) >= MIN_SIDE
    assert 1_000 < decoded < 5_000  # neither toothless nor all noise


def test_the_same_seed_gives_the_same_files() -> None:
    assert list(mutated(100, seed=1)) == list(mutated(100, seed=1))
    assert list(mutated(100, seed=1)) != list(mutated(100, seed=2))


def test_where_atheris_is_not_installed_fuzzing_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert fuzz.main([]) == 2
    assert "pip install -r requirements/fuzz.txt" in capsys.readouterr().out
