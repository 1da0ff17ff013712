"""Where reports go: an application entity by C-STORE, or a DICOMweb service by STOW-RS."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final, Protocol

from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE
from pynetdicom.presentation import build_context

from app.pacs.settings import read_peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from app.pacs.settings import PacsSettings

_CONNECT_S: Final = 5.0
_ACCEPTED: Final = frozenset({0x0000, 0xB000, 0xB006, 0xB007})
"""Success, and the warnings with which the destination keeps what it was sent (PS3.4 B.2.3)."""
_SYNTAXES: Final[list[str | UID]] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


class NotDelivered(Exception):
    """The destination did not accept all that it was sent; says what it answered."""


class Destination(Protocol):
    """Takes reports."""

    def send(self, documents: Sequence[Dataset]) -> None:
        """Return once each of `documents` was accepted.

        Raises:
            NotDelivered: one was not, or nobody was there.
        """
        ...


def destination_of(settings: PacsSettings) -> Destination:
    """The destination that the settings name."""
    named = settings.pacs_destination
    assert named is not None  # noqa: S101  # without it there are no settings
    if named.startswith(("http://", "https://")):
        return WebDestination(named, settings)
    return PeerDestination(named, settings)


class PeerDestination:
    """An application entity that takes C-STORE; each delivery has an association of its own."""

    def __init__(self, named: str, settings: PacsSettings) -> None:
        self._peer = read_peer(named)
        self._tls = _client_tls(settings)
        self._entity = AE(ae_title=settings.pacs_ae_title)
        self._entity.connection_timeout = _CONNECT_S
        self._entity.acse_timeout = settings.pacs_stall_s
        self._entity.dimse_timeout = settings.pacs_stall_s
        self._entity.network_timeout = settings.pacs_stall_s

    def send(self, documents: Sequence[Dataset]) -> None:
        """Store each of `documents` at the peer; raises `NotDelivered` as `Destination.send`."""
        contexts = [
            build_context(kind, _SYNTAXES)
            for kind in (ComprehensiveSRStorage, SecondaryCaptureImageStorage)
        ]
        title, host, port = self._peer
        association = self._entity.associate(
            host,
            port,
            contexts=contexts,
            ae_title=title,
            tls_args=(self._tls, host) if self._tls else None,
        )
        if not association.is_established:
            raise NotDelivered("the destination accepts no association")
        try:
            for document in documents:
                self._store(association, document)
        finally:
            association.release() if association.is_established else association.abort()

    @staticmethod
    def _store(association: object, document: Dataset) -> None:
        try:
            status = association.send_c_store(document)  # type: ignore[attr-defined]
        except (ValueError, RuntimeError) as error:
            raise NotDelivered("the destination does not take structured reports") from error
        code = status.get("Status")
        if code is None:
            raise NotDelivered("the destination gave no answer")
        if code not in _ACCEPTED:
            raise NotDelivered(f"the destination answered 0x{code:04X}")


class WebDestination:
    """A DICOMweb service that takes STOW-RS (PS3.18, section 10.5)."""

    def __init__(self, url: str, settings: PacsSettings) -> None:
        import requests
        from dicomweb_client.api import DICOMwebClient

        session = requests.Session()
        session.trust_env = False
        if settings.pacs_destination_tls_authority:
            session.verify = str(settings.pacs_destination_tls_authority)
        if settings.pacs_destination_tls_certificate:
            session.cert = (
                str(settings.pacs_destination_tls_certificate),
                str(settings.pacs_destination_tls_key),
            )
        self._client = DICOMwebClient(
            url, session=session, timeout=(_CONNECT_S, settings.pacs_stall_s)
        )
        # It would wait for minutes where the sender can ask again.
        self._client.set_http_retry_params(retry=False)

    def send(self, documents: Sequence[Dataset]) -> None:
        """Store `documents` in one request; raises `NotDelivered` as `Destination.send`."""
        import requests

        try:
            outcome = self._client.store_instances(documents)
        except (requests.RequestException, ValueError) as error:
            raise NotDelivered("the destination does not accept reports now") from error
        if len(outcome.get("FailedSOPSequence") or ()):
            raise NotDelivered("the destination refused a report")


def _client_tls(settings: PacsSettings) -> ssl.SSLContext | None:
    authority = settings.pacs_destination_tls_authority
    certificate = settings.pacs_destination_tls_certificate
    if authority is None and certificate is None:
        return None
    context = ssl.create_default_context(cafile=authority and str(authority))
    if certificate:
        context.load_cert_chain(certificate, settings.pacs_destination_tls_key)
    return context
