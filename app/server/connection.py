"""One client's connection: bounded in number, in time and in what it may send beside a body."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.server.middleware.request_log import HEADER, draw_id
from app.server.middleware.shedding import CROWDED_KEY
from app.server.problems import MEDIA_TYPE, RETRY_AFTER_S, TABLE, TYPE_PREFIX
from app.server.transport import Together
from app.xray.errors import TooManyConnections

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

SPARE: Final = 16
"""Connections beyond the number allowed, on which probes are answered and all else refused."""
MAX_HEAD_BYTES: Final = 65_536
HEAD_TIMEOUT_S: Final = 10.0
"""For a request's line and headers, once there is a connection or their first byte; for what a
client still sends of a body after it was refused; for what it has not taken yet of an answer."""


class Refusal(NamedTuple):
    """The refusal of a connection on which no whole request has come."""

    kind: str
    status: HTTPStatus
    title: str
    detail: str


_CROWDED: Final = TABLE[TooManyConnections]
TOO_MANY: Final = Refusal(
    _CROWDED.kind, _CROWDED.status, _CROWDED.title, "Too many are open; try again shortly."
)
TOO_LARGE: Final = Refusal(
    "head-too-large",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "The request's head is too large",
    f"Its line and headers take more than {MAX_HEAD_BYTES} bytes.",
)
TOO_SLOW: Final = Refusal(
    "head-too-slow",
    HTTPStatus.REQUEST_TIMEOUT,
    "The request did not arrive in time",
    f"Its line and headers took more than {HEAD_TIMEOUT_S:g} s.",
)
NOT_HTTP: Final = Refusal(
    "not-http", HTTPStatus.BAD_REQUEST, "Not HTTP", "What came is no HTTP request."
)
REFUSALS: Final = (TOO_MANY, TOO_LARGE, TOO_SLOW, NOT_HTTP)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's parser in C, which by itself gathers heads and waits for them without end.

    The read in which a request begins is not counted: it is one buffer of the loop's, 256 kB.
    """

    def __init__(
        self,
        *arguments: Any,
        max_connections: int,
        is_leaving: Callable[[], bool],
        on_refusal: Callable[[Refusal, str], None] = lambda *_: None,
        **options: Any,
    ) -> None:
        """`on_refusal` is told of each below the application, and of the id that it was given."""
        super().__init__(*arguments, **options)
        self._max_connections = max_connections
        self._is_leaving = is_leaving
        self._on_refusal = on_refusal
        self._is_spare = False
        self._is_receiving = False
        """Whether a request has begun to arrive, and has not ended."""
        self._unparsed = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Mark a client beyond `max_connections`, or turn it away if there are many such."""
        self._together = Together(transport, self.loop, lambda: self._is_receiving)
        super().connection_made(cast("asyncio.Transport", self._together))
        beyond = len(self.connections) - self._max_connections
        if beyond > SPARE:
            self._refuse(TOO_MANY)
            return
        if beyond > 0:
            self._is_spare = True
            self.app = cast("Any", _crowded(cast("ASGIApp", self.app)))
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._end_patience()
        self._together.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse a request line and headers, or trailers, of more than `MAX_HEAD_BYTES`."""
        if self.transport.is_closing():
            self._together.discard(data)
            return
        self._is_receiving = True
        self._unparsed += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unparsed > MAX_HEAD_BYTES:
            self._refuse(TOO_LARGE)
        elif self.is_idle and self._patience is None:
            self._be_patient()

    def on_headers_complete(self) -> None:
        """Count anew; from here on it is the service that watches the time."""
        self._unparsed = 0
        self._end_patience()
        super().on_headers_complete()
        # A client connects elsewhere before it must, and takes nobody's place for long.
        if self._is_spare or self._is_leaving():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Count anew."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count anew."""
        self._unparsed = 0
        self._is_receiving = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End the answer as uvicorn does, but wait only so long for the client to take it."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        """Hang up on a client that sends nothing more."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def _has_begun_to_answer(self) -> bool:
        """Whether a part of an answer may be out; of several requests the first is answered."""
        return not self.is_idle and (self.cycle.response_started or bool(self.pipeline))

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
        if self.is_idle and not self.transport.is_closing():
            self._refuse(TOO_SLOW)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's own words
        """Say in our form that it is no HTTP."""
        self._refuse(NOT_HTTP)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer below the application, which has not seen a whole request, and hang up.

        Within an answer that has begun a second one would be read as its content: it is cut off.
        """
        request_id = draw_id()
        if not self._has_begun_to_answer:
            self.transport.write(_answer(refusal, request_id))
        # One that is slow has nothing on its way.
        self._is_receiving = self._is_receiving and refusal is not TOO_SLOW
        self.transport.close()
        self._on_refusal(refusal, request_id)


def _answer(refusal: Refusal, request_id: str) -> bytes:
    problem = {
        "type": TYPE_PREFIX + refusal.kind,
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.detail,
        "request_id": request_id,
    }
    body = json.dumps(problem).encode()
    retry = f"retry-after: {RETRY_AFTER_S}\r\n" if refusal is TOO_MANY else ""
    head = (
        f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
        f"{HEADER.lower()}: {request_id}\r\n{retry}connection: close\r\n\r\n"
    )
    return STATUS_LINE[refusal.status] + head.encode() + body


def _crowded(app: ASGIApp) -> ASGIApp:
    """`app`, which is told of each request that it came on a spare connection."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        scope[CROWDED_KEY] = True
        await app(scope, receive, send)

    return told
