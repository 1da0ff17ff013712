"""Small sound files of every kind that is read."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, PngImagePlugin

from benchmarks.rig.corpus import chunks
from benchmarks.rig.corpus.dicoms import UIDS, lut_item, write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode, write_png

if TYPE_CHECKING:
    from collections.abc import Iterator


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """Some fifty files, most of them of 1 to 5 kB."""
    return (*_jpegs(), *_pngs(), *_dicoms())


def colored(size: tuple[int, int] = (47, 39)) -> Image.Image:
    """Three different pictures as the channels of one."""
    return Image.merge("RGB", [draw_radiograph(seed, size) for seed in (1, 2, 3)])


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a drawing"
    return exif


def _jpegs() -> Iterator[bytes]:
    def jpeg(image: Image.Image, **options: Any) -> bytes:
        return encode(image, "JPEG", **options)

    gray = draw_radiograph(4, (53, 41))
    yield jpeg(gray)
    yield jpeg(draw_radiograph(5, (300, 260)), quality=30)
    yield jpeg(gray, progressive=True)
    yield jpeg(gray, exif=with_orientation(6), comment=b"drawn")
    yield jpeg(gray, restart_marker_blocks=2)
    yield jpeg(colored())
    yield jpeg(colored(), progressive=True, subsampling=0, optimize=True)
    yield jpeg(colored(), icc_profile=bytes(300), dpi=(72, 72), exif=with_orientation(3))
    yield jpeg(colored().convert("CMYK"))
    yield encode(gray, "MPO", save_all=True, append_images=[draw_radiograph(6, (40, 36))])


def _pngs() -> Iterator[bytes]:
    gray = draw_radiograph(7, (49, 43))
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "drawn " * 20)
    texts.add_text("Comment", "drawn " * 20, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", "<x/>", "en", "x", zip=True)
    twelve_bits = np.asarray(gray).astype(np.uint16) * 16
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield encode(colored().convert(mode))
    yield encode(draw_radiograph(8, (300, 260)).quantize(16))
    yield encode(gray.quantize(5), transparency=bytes(range(5)), bits=4)
    yield encode(gray, pnginfo=texts, exif=with_orientation(8), icc_profile=bytes(300))
    yield encode(gray, transparency=3, dpi=(72, 72))
    yield encode(gray, save_all=True, append_images=[draw_radiograph(9, gray.size)])
    yield encode(Image.fromarray(twelve_bits))
    for channels in (2, 3, 4):
        yield write_png(np.repeat(twelve_bits[..., None], channels, axis=2))
    yield chunks.interlaced(np.asarray(gray))


def _dicoms() -> Iterator[bytes]:
    eight_bits = np.asarray(draw_radiograph(10, (51, 37)))
    twelve_bits = eight_bits.astype(np.uint16) * 16
    for syntax in UIDS:
        yield write_dicom(eight_bits, syntax=syntax)
    for syntax in ("explicit-big", "rle", "jpeg-extended", "jpeg-ls", "jpeg-2000-lossless"):
        yield write_dicom(twelve_bits, syntax=syntax, bits=12)
    window = {"WindowCenter": 2048, "WindowWidth": 3000, "RescaleSlope": 1, "RescaleIntercept": 9}
    yield write_dicom(twelve_bits, bits=12, photometric="MONOCHROME1", **window)
    table = lut_item(0, 16, np.arange(256) * 256)
    for syntax in ("implicit-little", "explicit-little"):
        luts = {"ModalityLUTSequence": [table], "VOILUTSequence": [table]}
        yield write_dicom(eight_bits, syntax=syntax, PixelPaddingValue=3, **luts)
    for syntax in ("explicit-little", "rle"):
        yield write_dicom(np.asarray(colored()), syntax=syntax, photometric="RGB")
    palette: dict[str, Any] = {}
    for color in ("Red", "Green", "Blue"):
        palette[f"{color}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        palette[f"{color}PaletteColorLookupTableData"] = bytes(range(256))
    yield write_dicom(eight_bits, photometric="PALETTE COLOR", **palette)
