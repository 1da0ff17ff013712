"""The node: associations that bring films, bounded in number, bytes and time."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from app.pacs import status
from app.pacs.network.connection import end_connection, prepare_connection, server_tls
from app.pacs.reporter import Film
from app.runtime.listening import cannot_listen
from app.xray.decode.dicom.frame import TRANSFER_SYNTAXES

if TYPE_CHECKING:
    from pynetdicom.transport import ThreadedAssociationServer

    from app.pacs.reporter import Reporter
    from app.pacs.settings import PacsSettings
    from app.pacs.watch import Watch

log = logging.getLogger(__name__)

SOP_CLASSES: Final = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
)
SYNTAXES: Final = tuple(map(UID, sorted(TRANSFER_SYNTAXES)))
"""The transfer syntaxes in which the service reads a film."""
_FRAMING: Final = 1_000_000
"""Bytes that commands, PDU headers and elements may take beside a film."""
_PARTING_S: Final = 1.0
"""How long a peer whose association is aborted is given to read that."""
_SUCCESS: Final = 0x0000


@dataclass
class _Visit:
    """One association, as the log and the bounds know it."""

    number: int
    begun: float = field(default_factory=time.monotonic)
    films: int = 0
    reported: int = 0
    arriving: int = 0
    """Bytes since the last whole message."""


class Node:
    """Listens for associations, and hands each film that comes to a reporter."""

    def __init__(self, settings: PacsSettings, reporter: Reporter, watch: Watch) -> None:
        self._settings = settings
        self._reporter = reporter
        self._watch = watch
        self._numbers = count(1)
        self._visits: dict[Any, _Visit] = {}
        self._unheard: dict[Any, threading.Timer] = {}
        """Connections on which no association was asked for yet, and what will close them."""
        self._is_draining = False
        self._under_way = 0
        self._changed = threading.Condition()
        self._entity = AE(ae_title=settings.pacs_ae_title)
        self._entity.require_called_aet = True
        self._entity.require_calling_aet = list(settings.pacs_calling)
        self._entity.maximum_associations = settings.pacs_max_associations
        self._entity.network_timeout = settings.pacs_stall_s
        self._entity.acse_timeout = settings.pacs_stall_s
        self._entity.dimse_timeout = settings.pacs_stall_s
        self._entity.add_supported_context(Verification)
        for sop_class in SOP_CLASSES:
            self._entity.add_supported_context(sop_class, list(SYNTAXES))
        self._server: ThreadedAssociationServer | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that the node listens on."""
        assert self._server is not None and self._server.socket  # noqa: S101, PT018  # it was started
        host, port = self._server.socket.getsockname()[:2]
        return host, port

    def start(self) -> None:
        """Listen, in threads of its own.

        Raises:
            SettingsError: the address is none of this machine's, or the port is taken; or the
                certificate or its key cannot be read.
        """
        where = (self._settings.pacs_host, self._settings.pacs_port)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._open),
            (evt.EVT_ABORTED, self._cut_off),
            (evt.EVT_ACCEPTED, self._begin),
            (evt.EVT_REJECTED, self._reject),
            (evt.EVT_REQUESTED, self._hear),
            (evt.EVT_DATA_RECV, self._count_bytes),
            (evt.EVT_DIMSE_RECV, self._end_message),
            (evt.EVT_C_ECHO, lambda _: _SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_CONN_CLOSE, self._end),
        ]
        tls = server_tls(self._settings)
        try:
            self._server = self._entity.start_server(
                where, block=False, ssl_context=tls, evt_handlers=handlers
            )
        except (OSError, UnicodeError) as error:
            raise cannot_listen(*where, error, "CXR_PACS_HOST", "CXR_PACS_PORT") from error

    def drain(self) -> bool:
        """Refuse associations, finish the films under way; whether all were, in time."""
        self._is_draining = True
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
        until = time.monotonic() + self._settings.pacs_drain_s
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._under_way, timeout=max(0.0, until - time.monotonic())
            )

    def close(self) -> None:
        """Abort the associations that are left."""
        for association in self._entity.active_associations:
            association.abort()

    def _store(self, event: evt.Event) -> Any:
        visit = self._visits.get(event.assoc)
        begun = time.monotonic()
        with self._changed:
            self._under_way += 1
        try:
            outcome = status.DRAINING if self._is_draining else self._report(event)
        except Exception as error:  # whatever it was, the sender is told; the association goes on
            # Not what it says, which may hold values of elements.
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("a film met a fault: %s\n%s", type(error).__name__, frames)  # noqa: TRY400
            outcome = status.FAULT
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()
            # Meanwhile its sender could only wait: that is no stalling.
            event.assoc.dul._idle_timer.restart()
        self._watch.count_film(outcome.name, time.monotonic() - begun)
        if visit:
            visit.films += 1
            visit.reported += outcome.status == _SUCCESS
        return outcome.dataset()

    def _report(self, event: evt.Event) -> status.Outcome:
        film = Film(event.encoded_dataset(), str(event.request.AffectedSOPClassUID))
        return self._reporter.report(film)

    def _open(self, event: evt.Event) -> None:
        prepare_connection(event, self._settings.pacs_stall_s)
        self._unheard[event.assoc] = self._end_in(self._settings.pacs_stall_s, event.assoc)

    def _hear(self, event: evt.Event) -> None:
        if timer := self._unheard.pop(event.assoc, None):
            timer.cancel()

    def _cut_off(self, event: evt.Event) -> None:
        self._end_in(_PARTING_S, event.assoc)

    @staticmethod
    def _end_in(seconds: float, association: Any) -> threading.Timer:
        """Close a connection in a while, whatever is being read from it.

        Whoever sends a PDU byte by byte keeps the thread busy that would notice how long it takes.
        """
        timer = threading.Timer(seconds, end_connection, [association])
        timer.daemon = True
        timer.start()
        return timer

    def _begin(self, event: evt.Event) -> None:
        visit = self._visits[event.assoc] = _Visit(next(self._numbers))
        self._watch.count_association("accepted")
        log.debug("association %d begun", visit.number)

    def _reject(self, event: evt.Event) -> None:  # noqa: ARG002  # the library names the argument
        self._watch.count_association("rejected")
        log.info("an association was rejected")

    def _count_bytes(self, event: evt.Event) -> None:
        visit = self._visits.get(event.assoc)
        if visit is None:
            return
        visit.arriving += len(event.data)
        if visit.arriving > self._settings.max_film_bytes + _FRAMING:
            self._watch.count_association("too-large")
            log.warning("association %d sends more than a film may have: aborted", visit.number)
            visit.arriving = 0
            event.assoc.abort()

    def _end_message(self, event: evt.Event) -> None:
        if visit := self._visits.get(event.assoc):
            visit.arriving = 0

    def _end(self, event: evt.Event) -> None:
        self._hear(event)
        visit = self._visits.pop(event.assoc, None)
        if visit is None:
            return
        if not event.assoc.is_released:  # aborted by either side, or its connection was lost
            self._watch.count_association("aborted")
        log.info(
            "association %d ended: %d films, %d reported, %.1f s",
            visit.number,
            visit.films,
            visit.reported,
            time.monotonic() - visit.begun,
        )
