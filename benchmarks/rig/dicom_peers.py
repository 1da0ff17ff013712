"""Whom a DICOM node talks to: a modality that sends drawn films, an archive that keeps reports."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ComprehensiveSRStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from pynetdicom import AE, evt

from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from pynetdicom.association import Association

PICTURES = 8
"""So many different ones are drawn; the films of more share them."""


class Archive:
    """An application entity that keeps what it is sent, and answers with `status`.

    It can be stopped, and started where it was; `hang_ups` is how often it closes the
    connection instead of answering. With `tls` it speaks that.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.status = 0x0000
        self.hang_ups = 0
        self.received: list[Dataset] = []
        self.associations = 0
        """How many there were."""
        self.port = 0
        self._tls = tls
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._server: Any = None

    def start(self) -> None:
        """Listen, where it did before."""
        entity = AE(ae_title="ARCHIVE")
        entity.maximum_associations = 100
        for kind in (ComprehensiveSRStorage, SecondaryCaptureImageStorage):
            entity.add_supported_context(kind)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._keep), (evt.EVT_ACCEPTED, self._count)]
        self._server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers, ssl_context=self._tls
        )
        self.port = self._server.socket.getsockname()[1]

    def stop(self) -> None:
        """Refuse everything from now on, and end what is under way."""
        if self._server:
            self._server.shutdown()
            self.hang_up()
            self._server = None

    def hang_up(self) -> None:
        """Abort the associations that are open."""
        for association in self.open_associations:
            association.abort()

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Answer nothing that is sent, until the block ends."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    @property
    def open_associations(self) -> list[Association]:
        """Those that somebody has with it now."""
        found: list[Association] = self._server.active_associations
        return found

    def _count(self, _: evt.Event) -> None:
        self.associations += 1

    def _keep(self, event: evt.Event) -> int:
        self._may_answer.wait()
        if self.hang_ups:
            self.hang_ups -= 1
            event.assoc.dul.socket._shutdown_socket()
        elif self.status == 0x0000:
            document = event.dataset
            document.file_meta = event.file_meta
            self.received.append(document)
        return self.status


def draw_film(index: int = 0, **elements: Any) -> Dataset:
    """A drawn film with patient and study, the same for an index; `elements` replace its own."""
    tags = {
        "SOPClassUID": DigitalXRayImageStorageForPresentation,
        "Modality": "DX",
        "PatientName": "Doe^Jane",
        "PatientID": f"P-{index + 1}",
        "StudyInstanceUID": generate_uid(entropy_srcs=["study", str(index)]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series", str(index)]),
        "SOPInstanceUID": generate_uid(entropy_srcs=["instance", str(index)]),
    }
    pixels = np.asarray(draw_radiograph(index % PICTURES))
    dataset = dcmread(BytesIO(write_dicom(pixels, **{**tags, **elements})))
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def file_of(film: Dataset) -> bytes:
    """The film as a DICOM file."""
    buffer = BytesIO()
    film.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@contextmanager
def sending(port: int, like: Dataset) -> Iterator[Callable[[Dataset], bool]]:
    """Stores films of the class of `like` at the node, on one association; says if each was taken.

    Raises:
        RuntimeError: the association ended, or was never established.
    """
    entity = AE(ae_title="MODALITY")
    entity.add_requested_context(like.SOPClassUID, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="CXR")
    try:
        yield lambda film: bool(association.send_c_store(film).get("Status") == 0x0000)
    finally:
        with suppress(Exception):
            association.release()


def send(port: int, film: Dataset) -> bool:
    """Whether the node accepted `film`, on an association of its own."""
    try:
        with sending(port, film) as store:
            return store(film)
    except (RuntimeError, ValueError):
        return False
