"""uvicorn, with a listener of ours and a farewell that load balancers can see."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, NoReturn, cast

import uvicorn

from app.runtime.listening import listen as bind
from app.server.connection import REFUSALS, BoundedProtocol, Refusal

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from fastapi import FastAPI

    from app.inference.lifecycle import Service
    from app.server.keys import Keyring
    from app.settings import Settings

log = logging.getLogger(__name__)

EXIT_UNANSWERED = 1


class Server(uvicorn.Server):
    """Serves until a signal.

    On SIGTERM health says "draining" at once, and for `drain_s` requests are served as before: a
    proxy sends on until it has learned that this server leaves. Then the listener closes, and what
    was accepted is finished. Ctrl-C leaves the draining out. A second signal ends at once. SIGHUP
    has keys and checkpoint read anew.
    """

    def __init__(self, app: FastAPI, service: Service, settings: Settings) -> None:
        protocol = partial(
            BoundedProtocol,
            max_connections=settings.max_connections,
            is_leaving=lambda: service.status == "draining",
            on_refusal=self._note,
        )
        service.metrics.set_reasons(refusal.kind for refusal in REFUSALS)
        config = uvicorn.Config(
            app,
            http=protocol,  # type: ignore[arg-type]  # called as a class would be
            ws="none",
            log_config=None,
            server_header=False,
            proxy_headers=False,
            access_log=False,
            timeout_graceful_shutdown=math.ceil(settings.request_timeout_s),
        )
        super().__init__(config)
        self._service = service
        self._keyring: Keyring = app.state.keyring
        self._was_told_to_end = False
        self._drain_s = settings.drain_s
        service.on_failure = self.finish

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does; from then on SIGHUP reloads keys and checkpoint."""
        if hasattr(signal, "SIGHUP"):
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self._read_anew)
        await super().startup(sockets)

    def _read_anew(self) -> None:
        self._keyring.reread()
        self._service.reload_soon()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no further requests, and finish those that were accepted."""
        self._service.stop()
        log.info("no longer listening; %d requests are finished", self._count_unanswered())
        await super().shutdown(sockets)

    def _count_unanswered(self) -> int:
        """Requests whose answer is not all written; the task of one may end a little later."""
        connections = cast("set[BoundedProtocol]", self.server_state.connections)
        return sum(not connection.is_idle for connection in connections)

    def _note(self, refusal: Refusal, request_id: str) -> None:
        """Count and log what the application has not seen."""
        self._service.metrics.count_refusal(refusal.kind)
        log.info(
            "%s %d %s",
            refusal.kind,
            refusal.status,
            request_id,
            extra={
                "problem": refusal.kind,
                "status": int(refusal.status),
                "request_id": request_id,
            },
        )

    def finish(self) -> None:
        """End serving, in order."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Answer a signal; uvicorn's own would have it raised again at the end."""
        is_first, self._was_told_to_end = not self._was_told_to_end, True
        self._service.drain()
        if not is_first and (unanswered := self._count_unanswered()):
            log.warning("ending at once: %d requests get no answer", unanswered)
            end_now(EXIT_UNANSWERED)
        if sig == signal.SIGTERM and self._drain_s and is_first:
            log.info("draining: health says so, and requests are served for %g s", self._drain_s)
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._drain_s, self.finish)
        else:
            self.finish()


def end_now(code: int) -> NoReturn:
    """End the process with `code`, whatever its threads are still doing."""
    logging.shutdown()
    os._exit(code)


def listen(settings: Settings) -> socket.socket:
    """A socket bound as the settings say.

    Raises:
        SettingsError: the address is none of this machine's, or the port is taken.
    """
    return bind(settings.host, settings.port, host_setting="CXR_HOST", port_setting="CXR_PORT")
