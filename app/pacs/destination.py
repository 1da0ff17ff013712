"""Where reports go: an application entity by C-STORE, or a DICOMweb service by STOW-RS."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom.presentation import build_context

from app.pacs.network.associations import Associations
from app.pacs.network.connection import client_tls
from app.pacs.settings import read_peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset
    from pynetdicom.association import Association

    from app.pacs.settings import PacsSettings

_CONNECT_S: Final = 5.0
_ACCEPTED: Final = frozenset({0x0000, 0xB000, 0xB006, 0xB007, 0x0111})
"""Success, the warnings with which the destination keeps what it was sent (PS3.4 B.2.3), and that
it has the instance already (PS3.7 C.5.7), as after a film that was sent twice."""
_SYNTAXES: Final[list[str | UID]] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


class NotDelivered(Exception):
    """The destination did not accept all that it was sent; says what it answered."""


class _Gone(Exception):
    """The association ended before the answer."""


class Destination(Protocol):
    """Takes reports."""

    def send(self, documents: Sequence[Dataset], *, until: float) -> None:
        """Return once each of `documents` was accepted, by `until` of `time.monotonic`.

        Raises:
            NotDelivered: one was not, or nobody was there.
        """
        ...

    def close(self) -> None:
        """Let the connections go."""
        ...


def destination_of(settings: PacsSettings) -> Destination:
    """The destination that the settings name."""
    named = settings.pacs_destination
    assert named is not None  # noqa: S101  # without it there are no settings
    if named.startswith(("http://", "https://")):
        return WebDestination(named, settings)
    return PeerDestination(named, settings)


class PeerDestination:
    """An application entity that takes C-STORE, on associations that are kept for a while."""

    def __init__(self, named: str, settings: PacsSettings) -> None:
        self._stall_s = settings.pacs_stall_s
        self._associations = Associations(
            read_peer(named),
            [
                build_context(kind, _SYNTAXES)
                for kind in (ComprehensiveSRStorage, SecondaryCaptureImageStorage)
            ],
            title=settings.pacs_ae_title,
            tls=client_tls(settings),
            stall_s=settings.pacs_stall_s,
        )

    def send(self, documents: Sequence[Dataset], *, until: float) -> None:
        """Store each of `documents` at the peer; raises `NotDelivered` as `Destination.send`.

        On an association that turns out to be gone nothing is given up: an archive that has a
        document already keeps one of it, for its UID is the same.
        """
        while not self._has_sent(documents, until):
            pass

    def close(self) -> None:
        """Release the associations that are open."""
        self._associations.close()

    def _has_sent(self, documents: Sequence[Dataset], until: float) -> bool:
        """Whether `documents` are stored; False where it can be tried once more."""
        with self._associations.one(until=until) as lent:
            if lent is None:
                raise NotDelivered("the destination has too much to do")
            association, is_new = lent
            if not association.is_established:
                raise NotDelivered("the destination accepts no association")
            try:
                for document in documents:
                    self._store(association, document, until)
            except _Gone as error:
                if is_new or time.monotonic() >= until:
                    raise NotDelivered("the destination gave no answer") from error
                return False
            return True

    def _store(self, association: Association, document: Dataset, until: float) -> None:
        association.dimse_timeout = max(0.1, min(self._stall_s, until - time.monotonic()))
        try:
            code = association.send_c_store(document).get("Status")
        except ValueError as error:
            raise NotDelivered("the destination does not take structured reports") from error
        except RuntimeError as error:
            raise _Gone from error
        if code is None:
            raise _Gone
        if code not in _ACCEPTED:
            raise NotDelivered(f"the destination answered 0x{code:04X}")


class WebDestination:
    """A DICOMweb service that takes STOW-RS (PS3.18, section 10.5)."""

    def __init__(self, url: str, settings: PacsSettings) -> None:
        import requests
        from dicomweb_client.api import DICOMwebClient

        self._session = session = requests.Session()
        session.trust_env = False
        session.hooks["response"].append(_name_media_type_alone)
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

    def send(self, documents: Sequence[Dataset], *, until: float) -> None:
        """Store `documents` in one request; raises `NotDelivered` as `Destination.send`."""
        import requests

        if time.monotonic() >= until:
            raise NotDelivered("no time is left for the destination")
        try:
            outcome = self._client.store_instances(documents)
            kept = {
                item.ReferencedSOPInstanceUID for item in outcome.get("ReferencedSOPSequence", ())
            }
        except requests.RequestException as error:
            raise NotDelivered("the destination does not accept reports now") from error
        except Exception as error:  # what it answers is read by whatever fits least badly
            raise NotDelivered("the destination answers what is no response to STOW-RS") from error
        if not {document.SOPInstanceUID for document in documents} <= kept:
            raise NotDelivered("the destination does not say that it keeps the report")

    def close(self) -> None:
        """Let the connections go."""
        self._session.close()


def _name_media_type_alone(reply: Any, **_: Any) -> None:
    """Take parameters from the Content-Type of `reply`: dicomweb-client compares the whole."""
    named = reply.headers.get("Content-Type", "")
    reply.headers["Content-Type"] = named.partition(";")[0].strip()
