"""Codecs that pydicom has, but none that withstands whatever is sent."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from app.xray.decode.codestream import declared
from app.xray.decode.dicom.colors import named_colors
from app.xray.decode.stripped import bare_jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

_END_OF_JPEG = b"\xff\xd9"


def decode_run_lengths(
    codestream: bytes, *, rows: int, columns: int, samples: int, bits_allocated: int
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """RLE (PS3.5, annex G) by Pillow's PackBits: (rows, columns), or with the samples behind.

    Of pydicom's two decoders one panics at odd streams, which no `except Exception` catches, and
    the other makes 64 bytes of each of them, however many pixels there are. Raises whatever an odd
    stream leads it to.
    """
    count, *offsets = struct.unpack_from("<16I", codestream)
    planes = bits_allocated // 8
    if count != samples * planes:
        raise ValueError(f"{count} segments for {samples} samples of {planes} bytes")
    ends = [*offsets[1:count], len(codestream)]
    levels = np.zeros((rows, columns, samples), f"u{planes}")
    for index, (start, end) in enumerate(zip(offsets, ends, strict=False)):
        # One long row: in practice runs do cross from row to row.
        size = (rows * columns, 1)
        segment = Image.frombytes("L", size, codestream[start:end], "packbits", "L")
        sample, plane = divmod(index, planes)
        # Each sample's upper byte comes first.
        plane_of_bytes = np.asarray(segment).reshape(rows, columns)
        levels[..., sample] |= plane_of_bytes.astype(levels.dtype) << 8 * (planes - 1 - plane)
    return levels if samples > 1 else levels[..., 0]


def decode_jpeg(codestream: bytes) -> NDArray[np.uint8]:
    """JPEG of 8 bits, as Pillow reads a JPEG file: the samples as they are stored.

    (rows, columns), or (rows, columns, 3) in the colors that are stored. Raises whatever an odd
    stream leads it to.
    """
    bare = bare_jpeg(codestream).data
    image = Image.open(io.BytesIO(bare), formats=["JPEG"])
    if image.mode == "RGB" and named_colors(bare) != "RGB":
        image.draft("YCbCr", image.size)  # what libjpeg takes them for: nothing is converted
    return np.asarray(image)


def decode_deep_jpeg(codestream: bytes) -> NDArray[Any]:
    """JPEG lossless, and JPEG of 12 bits, by libjpeg-turbo, in the colors that are stored.

    pydicom would have GDCM do it, whose exceptions end the whole process at some odd streams.
    Raises whatever those lead it to.
    """
    import imagecodecs

    # libjpeg only warns of a stream that was cut, and paints what is lacking.
    if not codestream.rstrip(b"\0").endswith(_END_OF_JPEG):
        raise ValueError("the codestream has no end")
    # Only of three components, and then one name is as good as another: both say "as it is".
    as_stored = "RGB" if declared(codestream).samples == 3 else None
    levels: NDArray[Any] = imagecodecs.jpeg8_decode(
        codestream, colorspace=as_stored, outcolorspace=as_stored
    )
    return levels


def decode_jpeg_ls(codestream: bytes) -> NDArray[Any]:
    """JPEG-LS, by CharLS. Raises whatever an odd stream leads it to."""
    import imagecodecs

    # CharLS would look for more of a stream that was cut, for seconds, and then refuse it too.
    if _END_OF_JPEG not in codestream:
        raise ValueError("the codestream has no end")
    levels: NDArray[Any] = imagecodecs.jpegls_decode(codestream)
    return levels
