"""Bytes of an image file -> an upright 8-bit picture."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from app.xray.decode.codestream import MAX_SCANS, START_OF_SCAN
from app.xray.decode.dicom.read import read_dicom
from app.xray.decode.dicom.start import start_of
from app.xray.decode.foreign import JPEG_LS_START, describe
from app.xray.decode.levels import look_up, spread
from app.xray.decode.radiograph import MIN_SIDE as MIN_SIDE
from app.xray.decode.radiograph import Radiograph, refuse_flat, refuse_small
from app.xray.decode.stripped import bare_jpeg, bare_png
from app.xray.errors import TooManyPixels, UnsupportedImageType, UnusableImage
from app.xray.image_types import DICOM, JPEG, PNG

if TYPE_CHECKING:
    from app.xray.decode.stripped import Bare

MAX_PIXELS: Final = 50_000_000
"""The largest picture that is decoded by default; digital radiographs stay below 25 million."""
MAX_SIDE: Final = 65_535
"""That of JPEG and DICOM. A PNG may have more, and each row then costs more than its pixels."""

_BYTE_ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION_TAG: Final = 0x0112
_SHORT_OR_LONG: Final = {3: "H", 4: "I"}
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture stored with each EXIF orientation is turned upright (EXIF 2.32, section 4.6.4)."""
_WITH_ALPHA: Final = frozenset({"LA", "RGBA"})
_PNG_BIT_DEPTH: Final = 24
"""Where the first chunk of a PNG file holds it (PNG, third edition, section 11.2.1)."""


def sniff(data: bytes) -> str:
    """The type that the first bytes declare: "JPEG", "PNG" or "DICOM".

    Raises:
        UnsupportedImageType: the bytes declare another type, or none; says which, and what to do.
    """
    if start_of(data) is not None:
        return DICOM.name
    for kind in (JPEG, PNG):
        if data.startswith(kind.signature) and not data.startswith(JPEG_LS_START):
            return kind.name
    raise UnsupportedImageType(describe(data))


def decode(
    data: bytes, *, max_pixels: int = MAX_PIXELS, least_side: int | None = None
) -> Radiograph:
    """Decode one JPEG, PNG or DICOM file; upright, as EXIF says of a JPEG or PNG.

    A JPEG may carry further pictures (previews, depth maps) behind the radiograph: the first is
    the radiograph. A PNG of several frames is an animation, and none of them is.

    For DICOM see `dicom.read_dicom`. Any other picture keeps its size and its 8-bit colour mode
    (`preprocess.to_pixels` makes it RGB). A PNG of 16 bits a channel becomes one of 8
    over its own range: its lowest value 0, its highest 255, so that a 12-bit film in a 16-bit
    file is neither black nor clipped to white. Only for gray without alpha does Pillow hand over
    more than the upper 8 bits to spread.

    Args:
        data: the whole file.
        max_pixels: the largest width x height; held against the header, before decoding.
        least_side: where given, libjpeg decodes a JPEG at a half, a quarter or an eighth of its
            size, the smallest that leaves so many pixels a side; each then is the mean of those
            that it stands for, but for rounding. Other types keep their size.

    Raises:
        UnsupportedImageType: none of the three, by its first bytes.
        TooManyPixels: more than `max_pixels`, or than `MAX_SIDE` a side.
        WrongModality: a DICOM file of no projection X-ray.
        UnusableImage: truncated, corrupt, of several frames, of fewer than `MIN_SIDE` pixels on a
            side, of 12 bits a sample, or of one level throughout.
    """
    kind = sniff(data)
    if kind == "DICOM":
        radiograph = read_dicom(data, max_pixels=max_pixels)
        refuse_flat(radiograph.image)
        return radiograph
    bare = bare_png(data) if kind == "PNG" else bare_jpeg(data)
    image = _open(bare.data, kind)
    width, height = image.size
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise TooManyPixels(
            f"The picture declares {width} x {height} pixels; at most {max_pixels:,} are decoded, "
            f"and {MAX_SIDE:,} a side."
        )
    refuse_small(width, height)
    _refuse_what_pillow_would_take(image, bare, kind)
    if kind == "JPEG" and least_side is not None:
        image.draft(image.mode, (least_side, least_side))
    try:
        image.load()
    except MemoryError:  # not the sender's fault
        raise
    except Exception as error:  # Pillow documents no closed set of errors for corrupt files
        raise UnusableImage(f"The {kind} file is truncated or corrupt.") from error
    turn = _TURNS.get(_orientation(bare.exif))
    if turn is not None:
        image = image.transpose(turn)
    has_16_bits = kind == "PNG" and bare.data[_PNG_BIT_DEPTH] == 16
    image = _eight_bits(image) if has_16_bits else image
    refuse_flat(image)
    return Radiograph(image)


def _open(data: bytes, kind: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=[kind])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels("The picture declares more pixels than are ever decoded.") from error
    except Exception as error:  # as in decode
        raise UnusableImage(f"The {kind} file's header is truncated or corrupt.") from error


def _refuse_what_pillow_would_take(image: Image.Image, bare: Bare, kind: str) -> None:
    if kind == "PNG" and image.mode == "P" and image.palette is None:
        raise UnusableImage("The PNG file lacks the palette that its pixels refer to.")
    # libjpeg stops after the first scan of a picture that can have but one.
    has_one_scan = image.mode == "L" and not image.info.get("progressive")
    if kind == "JPEG" and not has_one_scan and bare.data.count(START_OF_SCAN) > MAX_SCANS:
        raise UnusableImage(f"The JPEG file has more than {MAX_SCANS} scans.")


def _orientation(exif: bytes) -> int:
    """That of the first image file directory, 1 where there is none (EXIF 2.32, section 4.6).

    Broken metadata beside sound pixels says nothing about orientation. Pillow would read all of
    it, in Python, following each tag to its values.
    """
    order = _BYTE_ORDERS.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length = struct.unpack_from(f"{order}HHI", exif, entry)
            if tag == _ORIENTATION_TAG and kind in _SHORT_OR_LONG and length == 1:
                return int(struct.unpack_from(order + _SHORT_OR_LONG[kind], exif, entry + 8)[0])
    except struct.error:  # cut off
        pass
    return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """Spread what Pillow read of 16 bits over 0 to 255, without a second large copy of it."""
    if not image.mode.startswith("I"):  # colour or alpha: the upper 8 bits of each channel
        has_alpha = image.mode in _WITH_ALPHA
        bands = np.array(image.getextrema())
        colors = bands[:-1] if has_alpha else bands
        table = spread(int(colors.min()), int(colors.max()), 256).tolist()
        return image.point(table * len(colors) + list(range(256)) * has_alpha)
    values = np.asarray(image)
    table = spread(int(values.min()), int(values.max()), 1 << 16)
    return Image.fromarray(look_up(table, values))
