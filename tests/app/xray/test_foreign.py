from __future__ import annotations

import base64
import io
import zipfile

import imagecodecs
import numpy as np
import pytest

from app.xray.decode import decode
from app.xray.errors import UnsupportedImageType
from benchmarks.rig.corpus.drawing import draw_radiograph, encode

PICTURE = draw_radiograph()
PNG = encode(PICTURE)
LEVELS = np.asarray(PICTURE)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", PNG)
    return buffer.getvalue()


KINDS = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
    "video": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "WebP": encode(PICTURE.convert("RGB"), "WEBP"),
    "TIFF": encode(PICTURE, "TIFF"),
    "BMP": encode(PICTURE, "BMP"),
    "GIF": encode(PICTURE, "GIF"),
    "JPEG 2000": imagecodecs.jpeg2k_encode(LEVELS, codecformat="jp2"),
    "JPEG 2000 ": imagecodecs.jpeg2k_encode(LEVELS, codecformat="j2k"),
    "JPEG XL": b"\xff\x0a" + bytes(60),
    "JPEG-LS": imagecodecs.jpegls_encode(LEVELS),
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "HTML": b"\n<!DOCTYPE html><html><body>no such file</body></html>",
    "zip": zipped(),
    "compressed": b"\x1f\x8b\x08\0" + bytes(20),
    "JSON": b'{"image": "' + base64.b64encode(PNG) + b'"}',
    "data URI": b"data:image/png;base64," + base64.b64encode(PNG),
    "base64": base64.b64encode(PNG),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_another_kind_is_named_and_its_sender_told_what_to_do(name: str) -> None:
    with pytest.raises(UnsupportedImageType) as caught:
        decode(bytes(KINDS[name]))
    message = str(caught.value)
    assert name.strip() in message
    assert "JPEG, PNG and DICOM are read: " in message


@pytest.mark.parametrize("name", ["JSON", "data URI", "base64"])
def test_a_picture_as_text_is_answered_with_how_to_send_it(name: str) -> None:
    with pytest.raises(UnsupportedImageType, match=r"curl -F file=@xray\.png"):
        decode(KINDS[name])
