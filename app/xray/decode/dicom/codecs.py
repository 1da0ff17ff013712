"""Codecs that pydicom has, but none that withstands whatever is sent."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


def decode_by_imagecodecs(codestream: bytes, *, is_jpeg_ls: bool) -> NDArray[Any]:
    """JPEG lossless, JPEG of 12 bits and JPEG-LS, by libjpeg-turbo and CharLS.

    pydicom would have GDCM do it, whose exceptions end the whole process at some odd streams.
    Raises whatever those lead it to.
    """
    import imagecodecs

    decode = imagecodecs.jpegls_decode if is_jpeg_ls else imagecodecs.jpeg8_decode
    levels: NDArray[Any] = decode(codestream)
    return levels
