"""Clients that hang up half-way, send slowly, or say nothing: some of each, all at once."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from benchmarks.rig.pictures import form, gray_jpeg
from benchmarks.rig.wire import get, post

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

QUITTERS, AT_ONCE = 200, 10
SLOW, SLOW_HEADS, IDLE = 20, 20, 40
SLOW_S = 6.0
"""How long a slow sender takes, well within the time that a request is given."""
PIECES = 20
BYTE_EVERY_S = 0.5
GIVE_UP_S = 20.0
"""Longer than a server waits for a head."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close with a reset, as a process that dies does."""


def misbehave(port: int, seed: int = 0) -> Counter[str]:
    """Send such clients; how often each kind met with what."""
    return asyncio.run(_misbehave(port, random.Random(seed)))  # noqa: S311


async def _misbehave(port: int, chance: random.Random) -> Counter[str]:
    request = post(form(gray_jpeg(512, 512)))
    found: Counter[str] = Counter()
    few = asyncio.Semaphore(AT_ONCE)

    async def note(kind: str, client: Awaitable[str]) -> None:
        try:
            found[f"{kind}: {await client}"] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            found[f"{kind}: {type(error).__name__}"] += 1

    async def one_of_few(length: int, resets: bool) -> str:
        async with few:
            await asyncio.sleep(chance.random() / 10)
            return await _quit(port, request[:length], resets=resets)

    await asyncio.gather(
        *(
            note("half a request", one_of_few(chance.randrange(len(request)), n % 2 == 0))
            for n in range(QUITTERS)
        ),
        *(
            note("gone before the answer", one_of_few(len(request), n % 2 == 0))
            for n in range(QUITTERS)
        ),
        *(note("slow body", _trickle(port, request, _even_pieces)) for _ in range(SLOW)),
        *(note("slow head", _trickle(port, get("/model"), _bytes)) for _ in range(SLOW_HEADS)),
        *(note("idle", _trickle(port, b"", _bytes)) for _ in range(IDLE)),
    )
    return found


async def _quit(port: int, data: bytes, *, resets: bool) -> str:
    """Send so much and hang up without a word."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    if resets:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.write(data)
    await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return "hung up"


async def _trickle(
    port: int, data: bytes, cut: Callable[[bytes], tuple[list[bytes], float]]
) -> str:
    """Send `data` in pieces, with a pause before each; what the server answers, if it does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        pieces, pause_s = cut(data)
        for piece in pieces:
            await asyncio.sleep(pause_s)
            writer.write(piece)
            await writer.drain()

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(GIVE_UP_S):
            head = await reader.readuntil(b"\r\n")
        return head.split()[1].decode()
    except TimeoutError:
        return f"nothing within {GIVE_UP_S:g} s"
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await sending
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _even_pieces(data: bytes) -> tuple[list[bytes], float]:
    size = -(-len(data) // PIECES)
    return [data[start : start + size] for start in range(0, len(data), size)], SLOW_S / PIECES


def _bytes(data: bytes) -> tuple[list[bytes], float]:
    return [data[n : n + 1] for n in range(len(data))], BYTE_EVERY_S
