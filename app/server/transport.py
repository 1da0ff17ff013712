"""How answers are written to a client, and how its connection is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

LINGER_S: Final = 10.0
LINGER_BYTES: Final = 256_000_000
"""How long, and how much, is read on of a request that was refused before it came in whole, from a
client that closes the connection after the answer."""


class Together:
    """A transport that writes what comes in one turn of the loop in one go.

    The head of an answer and its body come apart, and writing is the dearest part of a refusal.
    It closes in stages where `is_sending` says that the client has not sent all yet.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        is_sending: Callable[[], bool],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._is_sending = is_sending
        self._pieces: list[bytes] = []
        self._unread = LINGER_BYTES
        self._lingering: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write `data`, at the end of this turn."""
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def is_closing(self) -> bool:
        """Whether this side will write no more."""
        return self._lingering is not None or self._transport.is_closing()

    def close(self) -> None:
        """Close once all is written; at once where nothing of the client's is on its way.

        What arrives at a closed socket has the kernel reset the connection, and the answer is lost
        that the client has not read yet (RFC 9112, section 9.6).
        """
        self._flush()
        if self._lingering is not None:
            return
        if not self._is_sending() or self._transport.is_closing():
            self._transport.close()
            return
        self._lingering = self._loop.call_later(LINGER_S, self._transport.abort)
        self._transport.resume_reading()
        self._transport.write_eof()

    def discard(self, data: bytes) -> None:
        """Take what still arrives for no longer, and no more of it, than is allowed."""
        self._unread -= len(data)
        if self._unread < 0:
            self._transport.abort()

    def end(self) -> None:
        """Stop waiting: the connection is lost."""
        if self._lingering is not None:
            self._lingering.cancel()

    def _flush(self) -> None:
        if self._pieces:
            data, self._pieces = b"".join(self._pieces), []
            self._transport.write(data)
