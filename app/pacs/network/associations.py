"""Associations with one application entity, kept open for a while between deliveries."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pynetdicom import AE, evt

from app.pacs.network.connection import prepare_connection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence

    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

    from app.pacs.settings import Peer

KEPT_S: Final = 5.0
"""How long an association that nobody uses stays open."""
MOST: Final = 4
"""So many associations at once: more than one node's reports need, and no burden to an archive."""
_CONNECT_S: Final = 5.0


class Associations:
    """Lends up to `MOST` associations with `peer`, each to one borrower; closes those left idle.

    Negotiating one takes several times as long as storing a report on it.
    """

    def __init__(
        self,
        peer: Peer,
        contexts: Sequence[PresentationContext],
        *,
        title: str,
        tls: ssl.SSLContext | None,
        stall_s: float,
    ) -> None:
        self._peer = peer
        self._contexts = list(contexts)
        self._tls = tls
        self._stall_s = stall_s
        self._entity = AE(ae_title=title)
        self._entity.connection_timeout = _CONNECT_S
        self._entity.acse_timeout = stall_s
        self._entity.dimse_timeout = stall_s
        self._entity.network_timeout = max(stall_s, 2 * KEPT_S)  # closing the idle is done here
        self._room = threading.BoundedSemaphore(MOST)
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Association]] = []
        self._sweeper: threading.Timer | None = None
        self._is_closed = False

    @contextmanager
    def one(self, *, until: float) -> Iterator[tuple[Association, bool] | None]:
        """An association of the caller's own, and whether it is new; None where none comes free.

        Waits for one until `until` of `time.monotonic`. A new one may not be established, and one
        that is not new may turn out to have been left by the peer a moment ago.
        """
        if not self._room.acquire(timeout=max(0.0, until - time.monotonic())):
            yield None
            return
        try:
            association, is_new = self._borrow()
            try:
                yield association, is_new
            finally:
                self._give_back(association)
        finally:
            self._room.release()

    def _borrow(self) -> tuple[Association, bool]:
        with self._lock:
            while self._idle:
                _, association = self._idle.pop()
                # Its thread ends a moment before the association is marked as ended.
                if association.is_established and association.dul.is_alive():
                    return association, False
        return self._request(), True

    def _give_back(self, association: Association) -> None:
        with self._lock:
            if association.is_established and association.dul.is_alive() and not self._is_closed:
                self._idle.append((time.monotonic(), association))
                if self._sweeper is None:
                    self._sweep_later()
                return
        _end(association)

    def close(self) -> None:
        """Release those that nobody has; the others, when they are given back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            if self._sweeper:
                self._sweeper.cancel()
        for _, association in idle:
            _end(association)

    def _request(self) -> Association:
        handlers: list[Any] = [(evt.EVT_CONN_OPEN, prepare_connection, [self._stall_s])]
        title, host, port = self._peer
        return self._entity.associate(
            host,
            port,
            contexts=self._contexts,
            ae_title=title,
            tls_args=(self._tls, host) if self._tls else None,
            evt_handlers=handlers,
        )

    def _sweep_later(self) -> None:
        self._sweeper = threading.Timer(KEPT_S, self._sweep)
        self._sweeper.daemon = True
        self._sweeper.start()

    def _sweep(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            until = time.monotonic() - KEPT_S
            old = [association for since, association in self._idle if since <= until]
            self._idle = [(since, each) for since, each in self._idle if since > until]
            self._sweeper = None
            if self._idle:
                self._sweep_later()
        for association in old:
            _end(association)


def _end(association: Association) -> None:
    if association.is_established and association.dul.is_alive():
        association.release()
    elif not (association.is_released or association.is_rejected or association.is_aborted):
        association.abort()
