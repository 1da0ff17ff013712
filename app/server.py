"""uvicorn, with a listener of ours and a farewell that load balancers can see."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.xray.errors import SettingsError

if TYPE_CHECKING:
    from types import FrameType

    from fastapi import FastAPI

    from app.service import Service
    from app.settings import Settings

BACKLOG = 2048
MAX_HEAD_BYTES = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's parser in C, which by itself gathers a request's head without end.

    The read in which a request begins is not counted: it is one buffer of the loop's, 256 kB.
    """

    _head_bytes = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        """Refuse a request line and headers of more than `MAX_HEAD_BYTES`."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_headers_complete(self) -> None:
        """Stop counting."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """Count anew."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()


class Server(uvicorn.Server):
    """Serves until a signal.

    On SIGTERM the service turns "draining" first and goes on listening for `drain_s`, so that
    whoever asks for its health sends no more; then accepted requests are finished. Ctrl-C, or a
    second signal, leaves the listening out; one more leaves nothing to be waited for.
    """

    def __init__(self, app: FastAPI, service: Service, settings: Settings) -> None:
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=math.ceil(settings.request_timeout_s),
        )
        super().__init__(config)
        self._service = service
        self._was_told_to_end = False
        self._drain_s = settings.drain_s
        service.on_failure = self.finish

    def finish(self) -> None:
        """End serving, in order."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Answer a signal; uvicorn's own would have it raised again at the end."""
        is_first, self._was_told_to_end = not self._was_told_to_end, True
        self.force_exit = self.should_exit
        self._service.stop()
        if sig == signal.SIGTERM and self._drain_s and is_first:
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._drain_s, self.finish)
        else:
            self.finish()


def listen(settings: Settings) -> socket.socket:
    """A socket bound as the settings say.

    Raises:
        SettingsError: the address is none of this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"CXR_HOST={settings.host!r}, CXR_PORT={settings.port}: cannot listen there: {error}"
        ) from error
