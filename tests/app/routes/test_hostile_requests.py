"""Requests that no client of good will sends: each is answered, and the next one is served."""

from __future__ import annotations

import gzip
import socket
from typing import TYPE_CHECKING

import pytest

from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.live import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

PNG = encode(draw_radiograph())
NESTED = b"--in\r\nContent-Disposition: file; filename=x.png\r\n\r\n" + PNG + b"\r\n--in--\r\n"


@pytest.fixture(scope="module")
def client(tiny_checkpoint: Path) -> Iterator[httpx.Client]:
    with served(tiny_checkpoint, max_upload_mb="1", request_timeout_s="2") as client:
        yield client


def part(name: str = "file", more: bytes = b"; filename=x.png", content: bytes = PNG) -> bytes:
    head = b'Content-Disposition: form-data; name="' + name.encode() + b'"' + more
    return b"--x\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> dict[str, object]:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return {"content": b"".join(parts) + b"--x--\r\n", "headers": headers}


def typed(content_type: str, content: bytes = PNG) -> dict[str, object]:
    return {"content": content, "headers": {"Content-Type": content_type}}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(form(*[part(content=b"a")] * 1000), 400, id="a-thousand-parts"),
        pytest.param(form(*[part(f"f{i}") for i in range(15)], part()), 200, id="fifteen-others"),
        pytest.param(form(part("image")), 400, id="wrong-field"),
        pytest.param(form(part("FILE")), 400, id="wrong-case"),
        pytest.param(form(part("file[]")), 400, id="field-of-php"),
        pytest.param(form(part(), part()), 400, id="twice"),
        pytest.param(form(), 400, id="no-parts"),
        pytest.param(form(part(content=NESTED)), 415, id="nested"),
        pytest.param(typed("multipart/mixed; boundary=in", NESTED), 400, id="mixed"),
        pytest.param(typed("multipart/form-data"), 400, id="no-boundary"),
        pytest.param(typed("multipart/form-data; boundary="), 400, id="empty-boundary"),
        pytest.param(typed("multipart/form-data; boundary=" + "x" * 5000), 400, id="long-boundary"),
        pytest.param(typed("multipart/form-data; boundary=x", part()), 400, id="no-end"),
        pytest.param(typed("multipart/form-data; boundary=x", b"--x\r\n" * 9999), 400, id="ends"),
        pytest.param(form(part(more=b"; filename=../../../etc/passwd")), 200, id="path"),
        pytest.param(form(part(more=b'; filename="C:\\\\evil.exe"')), 200, id="windows-path"),
        pytest.param(form(part(more=b'; filename="x\0.png"')), 200, id="nul-in-name"),
        pytest.param(form(part(more=b"; filename=" + b"a" * 10_000)), 200, id="name-of-10-kB"),
        pytest.param(form(part(more="; filename=röntgen.png".encode())), 200, id="other-letters"),
        pytest.param(form(part(more=b"; filename=\xff\xfe")), 400, id="name-that-is-no-text"),
        pytest.param(form(part(more=b"; filename=x\r\nX: " + b"a" * 99_999)), 400, id="long-head"),
        pytest.param(form(part(more=b"; filename=x" + b"\r\nX: a" * 5000)), 400, id="many-heads"),
        pytest.param(typed("image/jpeg"), 200, id="type-that-is-another"),
        pytest.param(typed("text/html"), 200, id="type-that-is-none"),
        pytest.param(typed("multi/part" * 1000), 200, id="type-of-10-kB"),
        pytest.param(typed("application/json", b'{"file": "x"}'), 415, id="json"),
        pytest.param(
            {"content": gzip.compress(PNG), "headers": {"Content-Encoding": "gzip"}},
            415,
            id="compressed",
        ),
        pytest.param({"content": bytes(1_000_001)}, 413, id="a-byte-too-many"),
        pytest.param(form(part(content=bytes(1_000_001))), 413, id="a-byte-too-many-in-a-form"),
        pytest.param(
            {"content": (bytes(100_000) for _ in range(50))}, 413, id="chunked-without-end"
        ),
    ],
)
def test_every_request_is_answered_and_the_next_is_served(
    request_: dict[str, object], status: int, client: httpx.Client
) -> None:
    answer = client.post("/predict", **request_)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
    if status == 400:
        assert "multipart field 'file'" in answer.json()["detail"]
    assert client.post("/predict", content=PNG).status_code == 200


def exchange(client: httpx.Client, sent: bytes) -> bytes:
    """What comes back for `sent`, written as it stands."""
    address = (client.base_url.host, client.base_url.port or 0)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return received


HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"hello\r\n\r\n", 400, id="no-http"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="tls"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="http-2"),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", 400, id="negative-length"),
        pytest.param(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, id="lengths"),
        pytest.param(
            HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            id="smuggled",
        ),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, id="broken-chunk"),
        pytest.param(HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", 400, id="overflow"),
        pytest.param(HEAD + b"Content-Length: 9999999999999\r\n\r\n", 413, id="ten-terabytes"),
        pytest.param(HEAD + b"Content-Length: 100\r\n\r\nabc", 504, id="less-than-announced"),
        pytest.param(
            HEAD + b"Expect: 100-continue\r\nContent-Length: 9000000\r\n\r\n", 413, id="asks-first"
        ),
        pytest.param(b"GET /%ff%fe%00 HTTP/1.1\r\nConnection: close\r\n\r\n", 404, id="odd-path"),
        pytest.param(
            b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nConnection: close\r\n\r\n",
            404,
            id="long-path",
        ),
        pytest.param(b"BREW / HTTP/1.1\r\n\r\n", 400, id="unknown-method"),
        pytest.param(
            b"GET /health HTTP/1.1\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
            200,
            id="websocket",
        ),
    ],
)
def test_what_is_hardly_http_is_answered_too(
    sent: bytes, status: int, client: httpx.Client
) -> None:
    received = exchange(client, sent)
    assert received.split(b" ", 2)[:2] == [b"HTTP/1.1", str(status).encode()], received[:500]
    assert client.get("/health").status_code == 200
