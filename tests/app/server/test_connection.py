from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest
import uvicorn
from uvicorn.server import ServerState

from app.server import connection, transport
from app.server.connection import BoundedProtocol, Refusal
from app.server.middleware.shedding import CROWDED_KEY
from app.server.problems import RETRY_AFTER_S
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

pytestmark = pytest.mark.anyio

HEAD_TIMEOUT_S = 0.2
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers at once, whether the body is there or not."""
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def patient(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers when the body is there."""
    while (await receive()).get("more_body"):
        pass
    await application(scope, receive, send)


@asynccontextmanager
async def listening(
    app: Any = application,
    timeout_keep_alive: int = 5,
    state: ServerState | None = None,
    **options: Any,
) -> AsyncIterator[Connect]:
    state = state or ServerState()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws="none",
        lifespan="off",
        timeout_keep_alive=timeout_keep_alive,
    )
    options = {"max_connections": 10, "is_leaving": lambda: False, **options}
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedProtocol(config=config, server_state=state, app_state={}, **options),
        "127.0.0.1",
        0,
    )
    host, port = server.sockets[0].getsockname()[:2]
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(host, port)
        opened.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in opened:
            writer.close()
        server.close()
        for _ in range(500):  # those that still read what is on its way
            if not state.connections:
                break
            await asyncio.sleep(0.01)


async def answer_of(reader: asyncio.StreamReader) -> str:
    """All that came; who writes once more than is read has the connection reset after it."""
    answer = b""
    with suppress(ConnectionResetError):
        while part := await asyncio.wait_for(reader.read(65536), 5):
            answer += part
    return answer.decode()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", HEAD_TIMEOUT_S)


async def test_a_client_beyond_the_number_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "SPARE", 0)
    state = ServerState()
    async with listening(max_connections=2, state=state) as connect:
        first, second = await connect(), await connect()
        for reader, writer in (first, second):
            writer.write(GET)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        reader, writer = await connect()
        writer.write(GET)
        refused = await answer_of(reader)
        first[1].close()
        await until(lambda: len(state.connections) < 2)
        reader, writer = await connect()
        writer.write(GET)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    assert refused.startswith("HTTP/1.1 503 ")
    assert f"\r\nretry-after: {RETRY_AFTER_S}\r\n" in refused
    assert "application/problem+json" in refused


async def test_on_a_spare_connection_the_application_is_told_that_it_is_one() -> None:
    crowded: list[bool] = []

    async def note(scope: dict[str, Any], receive: Any, send: Any) -> None:
        crowded.append(CROWDED_KEY in scope)
        await application(scope, receive, send)

    async with listening(note, max_connections=1) as connect:
        first, second = await connect(), await connect()
        for reader, writer in (first, second):
            writer.write(GET)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        assert await asyncio.wait_for(second[0].read(), 5) == b"", "it is closed after its answer"
        first[1].write(GET)
        await first[0].readuntil(b"ok")
    assert crowded == [False, True, False]


async def test_beyond_the_spare_ones_nobody_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SPARE", 1)
    async with listening(max_connections=1) as connect:
        for _ in range(2):
            await connect()
        reader, _ = await connect()
        assert (await answer_of(reader)).startswith("HTTP/1.1 503 ")


@pytest.mark.parametrize(
    ("sent", "kind", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nA: " + 70_000 * b"x", "head-too-large", 431, id="large"),
        pytest.param(b"GET / HT", "head-too-slow", 408, id="slow"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", "not-http", 400, id="encrypted"),
        pytest.param(b"DOE / HTTP/1.1\r\n\r\n", "not-http", 400, id="no-method"),
        pytest.param(b"GET / HTTP/1.1\r\nHost x\r\n\r\n", "not-http", 400, id="no-header"),
    ],
)
@pytest.mark.usefixtures("hurried")
async def test_what_the_application_never_sees_has_an_id_that_the_operator_finds(
    sent: bytes, kind: str, status: int
) -> None:
    told: list[tuple[Refusal, str]] = []
    async with listening(on_refusal=lambda *refusal: told.append(refusal)) as connect:
        reader, writer = await connect()
        writer.write(sent)
        head, _, body = (await answer_of(reader)).partition("\r\n\r\n")
    ((refusal, request_id),) = told
    assert (refusal.kind, refusal.status) == (kind, status)
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert f"\r\nx-request-id: {request_id}" in head
    assert "application/problem+json" in head
    assert json.loads(body)["request_id"] == request_id
    assert json.loads(body)["status"] == status
    assert json.loads(body)["type"] == f"urn:cxr:problem:{kind}"


async def test_nonsense_after_a_request_is_refused_and_told_once() -> None:
    told: list[tuple[Refusal, str]] = []
    async with listening(on_refusal=lambda *refusal: told.append(refusal)) as connect:
        reader, writer = await connect()
        writer.write(GET)
        await reader.readuntil(b"ok")
        writer.write(b"nonsense\r\n\r\n")
        assert (await answer_of(reader)).startswith("HTTP/1.1 400 ")
    assert [refusal.kind for refusal, _ in told] == ["not-http"]


@pytest.mark.parametrize("waiting", [b"", GET], ids=["alone", "with-another-behind-it"])
async def test_an_answer_that_has_begun_is_cut_off_and_no_refusal_is_written_into_it(
    waiting: bytes,
) -> None:
    async def unfinished(scope: dict[str, Any], receive: Any, send: Any) -> None:
        head = [(b"content-length", b"10000")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    told: list[tuple[Refusal, str]] = []
    async with listening(unfinished, on_refusal=lambda *refusal: told.append(refusal)) as connect:
        reader, writer = await connect()
        writer.write(GET)
        await reader.readuntil(b"half")
        writer.write(waiting + b"nonsense\r\n\r\n")
        assert await answer_of(reader) == ""
    assert [refusal.kind for refusal, _ in told] == ["not-http"]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HT", id="a-part-of-the-line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n", id="no-end-of-headers"),
        pytest.param(b"\r\n\r\n", id="empty-lines"),
    ],
)
@pytest.mark.usefixtures("hurried")
async def test_a_head_that_never_ends_is_hung_up_on(sent: bytes) -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(sent)
        assert (await answer_of(reader)).startswith("HTTP/1.1 408 ")


@pytest.mark.usefixtures("hurried")
async def test_so_is_one_that_comes_byte_by_byte() -> None:
    async with listening() as connect:
        reader, writer = await connect()
        reading = asyncio.create_task(answer_of(reader))
        head = chain(b"GET / HTTP/1.1\r\nX: ", repeat(ord("a")))
        await until(lambda: writer.write(bytes([next(head)])) or reading.done())
        assert (await reading).startswith("HTTP/1.1 408 ")


@pytest.mark.usefixtures("hurried")
async def test_a_second_request_that_never_ends_is_hung_up_on_too() -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(GET)
        await reader.readuntil(b"ok")
        writer.write(b"GET / HTTP")
        assert (await answer_of(reader)).startswith("HTTP/1.1 408 ")


async def sent_whole(connect: Connect, size: int) -> bytes:
    """What comes back to a client that sends all before it reads, as most do."""
    reader, writer = await connect()
    head = f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    writer.write(head.encode())
    for _ in range(size // 1_000_000):
        writer.write(bytes(1_000_000))
        await writer.drain()
    return await reader.read()


async def test_a_client_that_closes_gets_a_refusal_that_came_before_its_body_was_sent() -> None:
    async with listening() as connect:
        for _ in range(3):
            answer = await asyncio.wait_for(sent_whole(connect, 30_000_000), 20)
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"ok")


async def test_so_does_one_whose_head_is_refused() -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 5_000_000)
        await writer.drain()
        assert (await reader.read()).startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize("bound", ["LINGER_BYTES", "LINGER_S"])
async def test_what_comes_after_a_refusal_is_read_only_within_bounds(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, bound, 0.2 if bound == "LINGER_S" else 1_000_000)
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n"
        )
        assert (await reader.read()).endswith(b"ok")
        with suppress(ConnectionError):  # or else the test comes to no end
            while True:
                writer.write(bytes(100_000 if bound == "LINGER_BYTES" else 1))
                await writer.drain()
                await asyncio.sleep(0.001)


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_drips_on_after_its_refusal_is_cut_off() -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        await reader.readuntil(b"ok")
        reading = asyncio.create_task(answer_of(reader))
        for _ in range(999):
            writer.write(b"a")
            await asyncio.sleep(HEAD_TIMEOUT_S / 20)
            if reading.done():
                break
        assert reading.done(), "it waited for the last byte"


@pytest.mark.usefixtures("hurried")
async def test_a_slow_body_is_the_applications_to_judge() -> None:
    async with listening(patient) as connect:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        for _ in range(5):
            await asyncio.sleep(HEAD_TIMEOUT_S / 2)  # in all, longer than a head may take
            writer.write(b"a")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("start", "more"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nX: ", b"a" * 10_000, id="header"),
        pytest.param(b"GET /", b"a" * 10_000, id="path"),
        pytest.param(b"GET / HTTP/1.1\r\n", b"X: a\r\n" * 2_000, id="headers"),
        pytest.param(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ",
            b"a" * 10_000,
            id="trailer",
        ),
    ],
)
async def test_a_head_or_trailer_without_bounds_is_refused(start: bytes, more: bytes) -> None:
    async with listening(patient) as connect:
        reader, writer = await connect()
        writer.write(start)
        reading = asyncio.create_task(answer_of(reader))
        sent = 0
        while not reading.done() and sent < 10_000_000:
            writer.write(more)
            sent += len(more)
            await anyio.lowlevel.checkpoint()
        with suppress(ConnectionResetError):  # it hung up on what was still being sent
            assert (await reading).startswith(("HTTP/1.1 431 ", "HTTP/1.1 400 "))
    assert sent < 10_000_000


@pytest.mark.parametrize("headers", [b"", b"Connection: close\r\n"], ids=["kept-alive", "closed"])
@pytest.mark.usefixtures("hurried")
async def test_a_client_that_does_not_take_its_answer_is_hung_up_on(headers: bytes) -> None:
    size = 50_000_000

    async def generous(scope: dict[str, Any], receive: Any, send: Any) -> None:
        head = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": bytes(size)})

    state = ServerState()
    async with listening(generous, timeout_keep_alive=0, state=state) as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await until(lambda: not state.connections)
        received = 0
        with suppress(ConnectionResetError):
            while piece := await asyncio.wait_for(reader.read(1 << 20), 5):
                received += len(piece)
    assert received < size


async def test_a_large_body_is_not_taken_for_a_head() -> None:
    async with listening(patient) as connect:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n")
        writer.write(bytes(5_000_000))
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")


async def test_a_server_that_is_leaving_sends_its_clients_elsewhere() -> None:
    leaving = False
    async with listening(is_leaving=lambda: leaving) as connect:
        reader, writer = await connect()
        writer.write(GET)
        before = await reader.readuntil(b"ok")
        leaving = True
        writer.write(GET)
        after = await answer_of(reader)
    assert b"connection: close" not in before
    assert "connection: close" in after
    assert after.endswith("ok")
