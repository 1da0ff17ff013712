"""One keep-alive connection that costs little: what it takes is taken from the server."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from benchmarks.rig.wire import Answer, parse_answer

CONNECT_LIMIT_S = 5


class Request(NamedTuple):
    """What is sent, whole, and what its exchanges are called."""

    name: str
    data: bytes
    keeps_body: bool = False
    """Whether somebody will want to read what is answered."""


class Exchange(NamedTuple):
    """A request and what became of it; times are those of `time.monotonic`."""

    name: str
    begun_at: float
    written_at: float | None
    """When the last byte was handed to the kernel; None where it was not."""
    ended_at: float
    status: int = 0
    """0 where there was no answer: see `error`."""
    has_retry_after: bool = False
    body: bytes = b""
    error: str = ""

    @property
    def ms(self) -> float:
        """How long it took."""
        return (self.ended_at - self.begun_at) * 1000


class Client(asyncio.Protocol):
    """Asks one thing at a time, and connects anew when the server has hung up."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[Answer] | None = None
        self._written_at: float | None = None

    async def connect(self) -> None:
        """Open the connection. Raises OSError."""
        async with asyncio.timeout(CONNECT_LIMIT_S):
            await self._loop.create_connection(lambda: self, "127.0.0.1", self._port)

    async def ask(self, request: Request) -> Exchange:
        """Send `request` and wait for its end; whatever goes wrong is in what comes back.

        A cancellation ends the exchange and goes no further.
        """
        begun_at, self._written_at = time.monotonic(), None
        answer, error = None, ""
        try:
            if self._transport is None or self._transport.is_closing():
                await self.connect()
            answer = await self._send(request.data)
        except asyncio.CancelledError:
            error = "no answer until the end"
        except (OSError, ValueError) as fault:
            error = f"{type(fault).__name__}: {fault}"
        ended_at = time.monotonic()
        if answer is None:
            self.close()
            written_at = self._written_at
            return Exchange(request.name, begun_at, written_at, ended_at, error=error)
        if answer.closes:
            self.close()
        return Exchange(
            request.name,
            begun_at,
            self._written_at,
            ended_at,
            answer.status,
            answer.has_retry_after,
            answer.body if request.keeps_body else b"",
        )

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Have `resume_writing` called when all is written."""
        transport.set_write_buffer_limits(high=0)
        self._transport = transport
        self._received.clear()

    def resume_writing(self) -> None:
        """Take the time."""
        self._written_at = time.monotonic()

    def data_received(self, data: bytes) -> None:
        """Gather until the answer is whole."""
        self._received += data
        if self._answer is None or self._answer.done():
            return
        try:
            answer = parse_answer(self._received)
        except ValueError as error:
            self._answer.set_exception(error)
            return
        if answer is not None:
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits gets no answer any more."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(
                ConnectionResetError(f"closed before an answer came ({exc or 'in order'})")
            )

    async def _send(self, data: bytes) -> Answer:
        if self._transport is None:
            raise ConnectionResetError("closed as soon as it was open")
        self._received.clear()
        self._answer = self._loop.create_future()
        self._transport.write(data)
        if self._written_at is None and self._transport.get_write_buffer_size() == 0:
            self._written_at = time.monotonic()
        return await self._answer
