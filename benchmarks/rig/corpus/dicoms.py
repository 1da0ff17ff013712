"""DICOM files, written for tests with other codecs than those that read them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, SecondaryCaptureImageStorage, generate_uid

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(pydicom.__file__).parent / "data/test_files"
"""Where pydicom keeps its own test files."""

NATIVE = {
    "implicit-little": "1.2.840.10008.1.2",
    "explicit-little": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "explicit-big": "1.2.840.10008.1.2.2",
}
LOSSLESS = {
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-lossless": "1.2.840.10008.1.2.4.57",
    "jpeg-lossless-sv1": "1.2.840.10008.1.2.4.70",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg-2000-lossless": "1.2.840.10008.1.2.4.90",
}
LOSSY = {
    "jpeg-baseline": "1.2.840.10008.1.2.4.50",
    "jpeg-extended": "1.2.840.10008.1.2.4.51",
    "jpeg-ls-near": "1.2.840.10008.1.2.4.81",
    "jpeg-2000": "1.2.840.10008.1.2.4.91",
}
UIDS = NATIVE | LOSSLESS | LOSSY


def test_file(name: str) -> bytes:
    """One of pydicom's own files."""
    found = get_testdata_file(name, download=False)
    return Path(str(found)).read_bytes()


test_file.__test__ = False  # type: ignore[attr-defined]


def encode_levels(levels: np.ndarray, syntax: str, bits: int) -> bytes:
    """The codestream of `levels`, unsigned, of `bits`; gray or RGB."""
    encoders: dict[str, Callable[[], bytes]] = {
        "jpeg-baseline": lambda: imagecodecs.jpeg8_encode(levels, level=95),
        "jpeg-extended": lambda: imagecodecs.jpeg8_encode(levels, level=95, bitspersample=bits),
        "jpeg-lossless": lambda: imagecodecs.jpeg8_encode(
            levels, lossless=True, predictor=6, bitspersample=bits
        ),
        "jpeg-lossless-sv1": lambda: imagecodecs.jpeg8_encode(
            levels, lossless=True, predictor=1, bitspersample=bits
        ),
        "jpeg-ls": lambda: imagecodecs.jpegls_encode(levels),
        "jpeg-ls-near": lambda: imagecodecs.jpegls_encode(levels, level=2),
        "jpeg-2000-lossless": lambda: imagecodecs.jpeg2k_encode(
            levels, level=0, codecformat="j2k", bitspersample=bits, reversible=True
        ),
        "jpeg-2000": lambda: imagecodecs.jpeg2k_encode(
            levels, level=60, codecformat="j2k", bitspersample=bits, reversible=False
        ),
    }
    return bytes(encoders[syntax]())


def write_dicom(
    levels: np.ndarray,
    *,
    syntax: str = "explicit-little",
    bits: int = 8,
    photometric: str = "MONOCHROME2",
    codestream: bytes | None = None,
    **elements: Any,
) -> bytes:
    """A DICOM file of one frame.

    `levels` are unsigned, (rows, columns) or (rows, columns, 3): the bits of each stored value.
    `elements`, by keyword, are set last; one that is None is left out.
    """
    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["one"])
    dataset.PatientName = "Doe^Jane"
    dataset.Modality = "DX"
    dataset.Rows, dataset.Columns = levels.shape[:2]
    dataset.SamplesPerPixel = 1 if levels.ndim == 2 else 3
    if levels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 * levels.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = 0
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(UIDS.get(syntax, syntax))
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    if syntax in NATIVE:
        order = ">" if syntax == "explicit-big" else "<"
        raw = levels.astype(levels.dtype.newbyteorder(order)).tobytes()
        dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    elif syntax == "rle":
        meta.TransferSyntaxUID = UID(UIDS["explicit-little"])
        dataset.PixelData = levels.tobytes()
        dataset.compress(UID(UIDS["rle"]), encoding_plugin="pydicom", generate_instance_uid=False)
    else:
        stream = encode_levels(levels, syntax, bits) if codestream is None else codestream
        dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB" if syntax not in NATIVE or bits == 8 else "OW"
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True, **encoding(syntax))
    return buffer.getvalue()


def encoding(syntax: str) -> dict[str, Any]:
    """How `save_as` is told to code elements under a transfer syntax it does not know."""
    return {} if syntax in UIDS else {"implicit_vr": False, "little_endian": True}


def lut_item(first: int, depth: int, entries: np.ndarray, *, descriptor: Any = None) -> Dataset:
    """One item of a Modality or VOI LUT sequence, its entries in 16 bits each."""
    item = Dataset()
    count = len(entries) % (1 << 16)
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", descriptor or [count, first, depth])
    item.add_new("LUTData", "OW", np.asarray(entries, "<u2").tobytes())
    return item
