"""One client's connection: bounded in number, in time and in what it may send beside a body."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

MAX_HEAD_BYTES: Final = 65_536
HEAD_TIMEOUT_S: Final = 10.0
"""For a request's line and headers, once there is a connection or their first byte; for what a
client still sends of a body after it was refused; for what it has not taken yet of an answer."""
_RETRY_AFTER_S: Final = 1


class Together:
    """A transport that writes what comes in one turn of the loop in one go.

    The head of an answer and its body come apart, and writing is the dearest part of a refusal.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write `data`, at the end of this turn."""
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def close(self) -> None:
        """Close once all is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._pieces:
            data, self._pieces = b"".join(self._pieces), []
            self._transport.write(data)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's parser in C, which by itself gathers heads and waits for them without end.

    The read in which a request begins is not counted: it is one buffer of the loop's, 256 kB.
    """

    def __init__(
        self,
        *arguments: Any,
        max_connections: int,
        is_leaving: Callable[[], bool],
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._max_connections = max_connections
        self._is_leaving = is_leaving
        self._unparsed = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Turn away a client beyond `max_connections`."""
        super().connection_made(cast("asyncio.Transport", Together(transport, self.loop)))
        if len(self.connections) > self._max_connections:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open; try again shortly."
            )
            return
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._end_patience()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse a request line and headers, or trailers, of more than `MAX_HEAD_BYTES`."""
        if self.transport.is_closing():
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unparsed > MAX_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head is too large.")
        elif self._is_idle and self._patience is None:
            self._be_patient()

    def on_headers_complete(self) -> None:
        """Count anew; from here on it is the service that watches the time."""
        self._unparsed = 0
        self._end_patience()
        super().on_headers_complete()
        if self._is_leaving():  # have the client connect elsewhere, before it must
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Count anew."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count anew."""
        self._unparsed = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's; a client that does not take its answer is not waited for without end."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        """Hang up on a client that sends nothing more."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _be_patient(self) -> None:
        self._patience = self.loop.call_later(HEAD_TIMEOUT_S, self._lose_patience)

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _abort_later(self) -> None:
        """Closing waits until all is sent, for however long the client takes."""
        if self.transport.get_write_buffer_size():
            self._end_patience()
            self._patience = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)

    def _lose_patience(self) -> None:
        self._patience = None
        if self._is_idle and not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time.")

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer below the application, which has not seen a whole request, and hang up."""
        body = json.dumps(
            {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
        ).encode()
        retry = f"retry-after: {_RETRY_AFTER_S}\r\n" if status == 503 else ""
        self.transport.write(
            STATUS_LINE[status]
            + f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\n"
            f"{retry}connection: close\r\n\r\n".encode()
            + body
        )
        self.transport.close()
