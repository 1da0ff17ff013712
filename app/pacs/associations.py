"""Associations with one application entity, kept open for a while between deliveries."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from pynetdicom import AE, evt

from app.pacs.connection import prepare_connection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

    from app.pacs.settings import Peer

KEPT_S: Final = 5.0
"""How long an association that nobody uses stays open."""
_CONNECT_S: Final = 5.0


class Associations:
    """Lends associations with `peer`, each to one borrower at a time; closes those left idle.

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
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Association]] = []
        self._sweeper: threading.Timer | None = None
        self._is_closed = False

    def borrow(self) -> tuple[Association, bool]:
        """An association of the borrower's own, and whether it is new; maybe not established.

        One that is not new may turn out to have been left by the peer a moment ago.
        """
        with self._lock:
            while self._idle:
                _, association = self._idle.pop()
                if association.is_established:
                    return association, False
        return self._request(), True

    def give_back(self, association: Association) -> None:
        """Keep `association` for the next borrower, or let it go where it cannot be used."""
        with self._lock:
            if association.is_established and not self._is_closed:
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
    if association.is_established:
        association.release()
    elif not association.is_released and not association.is_rejected:
        association.abort()
