from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI, Request

from app.server.uploads import UploadMemory, read_upload
from app.xray.errors import MalformedRequest, SenderError, TooManyBytes, UnsupportedImageType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

LIMIT = 3_000_000
MEMORY = 100_000_000


async def upload(**request: object) -> bytes:
    """What `read_upload` makes of a request that httpx sends; raises what it raises."""
    app = FastAPI()
    raised: list[SenderError] = []
    read: list[bytes] = []

    @app.post("/")
    async def _(incoming: Request) -> None:
        try:
            with UploadMemory(MEMORY).share() as share:
                read.append(await read_upload(incoming, LIMIT, share))
        except SenderError as error:
            raised.append(error)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.post("/", **request)  # type: ignore[arg-type]
    for error in raised:
        raise error
    return read[0]


async def in_chunks(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 1000, LIMIT], ids="{:,} bytes".format)
async def test_a_form_gives_its_file(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    assert await upload(files={"file": ("x.png", data[:size], "image/png")}) == data[:size]


@pytest.mark.parametrize(
    "content_type",
    ["image/jpeg", "image/png", "application/octet-stream", "application/x-www-form-urlencoded"],
)
async def test_a_raw_body_is_the_file_whatever_its_header_says(content_type: str) -> None:
    assert await upload(content=b"abc", headers={"Content-Type": content_type}) == b"abc"


async def test_a_raw_body_needs_no_content_type() -> None:
    assert await upload(content=in_chunks(b"abc" * 100_000)) == b"abc" * 100_000


async def test_other_fields_of_the_form_do_no_harm() -> None:
    files = {"file": ("x.png", b"abc"), "other": ("y.png", b"def")}
    assert await upload(files=files, data={"note": "text"}) == b"abc"


async def test_a_file_name_of_other_letters_makes_it_a_file_too() -> None:
    body = (
        b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename*=utf-8''r%C3%B6.png"
        b"\r\n\r\nabc\r\n--x--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert await upload(content=body, headers=headers) == b"abc"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param({}, "The file is empty", id="nothing"),
        pytest.param({"content": b""}, "The file is empty", id="empty-body"),
        pytest.param({"files": {"file": ("x.png", b"")}}, "The file is empty", id="empty-file"),
        pytest.param(
            {"files": {"image": ("x.png", b"abc")}},
            "lacks the field 'file'; its fields: 'image'",
            id="wrong-field",
        ),
        pytest.param(
            {"files": [("file", ("x", b"a")), ("file", ("y", b"b"))]},
            "2 fields 'file'",
            id="two-files",
        ),
        pytest.param({"files": {"file": (None, b"abc")}}, "it has no file name", id="text-field"),
        pytest.param(
            {"content": b"abc", "headers": {"Content-Type": "multipart/form-data"}},
            "The multipart form is broken: Empty boundary",
            id="no-boundary",
        ),
        pytest.param(
            {
                "content": b"no form at all",
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
            "The multipart form is broken",
            id="no-form",
        ),
        pytest.param(
            {
                "content": b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\na\r\n--x--',
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
            "The multipart form is broken: Segment header failed to decode",
            id="a-name-that-is-no-text",
        ),
        pytest.param(
            {"files": [(f"f{i}", ("x", b"a")) for i in range(1000)]},
            "The multipart form is broken: Maximum segment count exceeded",
            id="a-thousand-parts",
        ),
    ],
)
async def test_a_malformed_request_is_told_what_to_send(
    request_: dict[str, object], message: str
) -> None:
    with pytest.raises(MalformedRequest, match=message) as caught:
        await upload(**request_)
    assert "Send one image as the multipart field 'file'" in str(caught.value)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"content": bytes(LIMIT + 1)}, id="announced"),
        pytest.param({"content": in_chunks(bytes(LIMIT + 1))}, id="chunked"),
        pytest.param({"files": {"file": ("x", bytes(LIMIT + 1))}}, id="form-just-over"),
        pytest.param({"files": {"file": ("x", bytes(3 * LIMIT))}}, id="form-far-over"),
    ],
)
async def test_more_bytes_than_allowed_are_refused(request_: dict[str, object]) -> None:
    with pytest.raises(TooManyBytes, match="larger than 3 MB"):
        await upload(**request_)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip"])
async def test_a_compressed_body_is_refused_by_name(coding: str) -> None:
    with pytest.raises(UnsupportedImageType, match="has a Content-Encoding"):
        await upload(content=b"abc", headers={"Content-Encoding": coding})


async def test_a_body_that_says_it_is_not_compressed_is_taken() -> None:
    assert await upload(content=b"abc", headers={"Content-Encoding": "Identity"}) == b"abc"


async def test_an_endless_body_is_read_no_further_than_the_limit() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield bytes(65_536)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": await anext(body), "more_body": True}

    body = endless()
    request = Request({"type": "http", "headers": [], "method": "POST"}, receive)
    with pytest.raises(TooManyBytes), UploadMemory(MEMORY).share() as share:
        await read_upload(request, LIMIT, share)
    assert sent <= LIMIT + 65_536


async def test_an_upload_never_touches_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was made")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr("tempfile._io.open", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    data = bytes(LIMIT)
    assert await upload(files={"file": ("x.png", data)}) == data
