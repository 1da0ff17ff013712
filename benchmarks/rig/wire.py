"""HTTP/1.1 as bytes: requests built once, and no more read of an answer than is asked of it."""

from __future__ import annotations

import re
import socket
from typing import Final, NamedTuple

from benchmarks.rig.pictures import BOUNDARY

FORM: Final = f"multipart/form-data; boundary={BOUNDARY}"
BYTES: Final = "application/octet-stream"
ASK_LIMIT_S: Final = 30
_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Answer(NamedTuple):
    """What a server sent back, as far as anybody here wants to know."""

    status: int
    has_retry_after: bool
    closes: bool
    """Whether the server says that it hangs up."""
    body: bytes


def get(path: str) -> bytes:
    """A whole GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(body: bytes, content_type: str = FORM, path: str = "/predict") -> bytes:
    """A whole POST request; `body` is a form, or a picture's own bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def ask(port: int, request: bytes) -> Answer:
    """The answer of a server on this machine, over a connection of its own. Raises OSError."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), ASK_LIMIT_S) as connection:
        connection.sendall(request)
        while (answer := parse_answer(received)) is None:
            data = connection.recv(1 << 16)
            if not data:
                raise ConnectionResetError("closed before an answer came")
            received += data
    return answer


def parse_answer(data: bytes | bytearray) -> Answer | None:
    """The answer that `data` holds; None while it is not whole. It must announce its length."""
    end = data.find(_END_OF_HEAD)
    if end < 0:
        return None
    head = bytes(data[:end])
    length = _LENGTH.search(head)
    if length is None:
        raise ValueError(f"an answer without a length: {head[:200]!r}")
    start = end + len(_END_OF_HEAD)
    stop = start + int(length[1])
    if len(data) < stop:
        return None
    lowered = head.lower()
    return Answer(
        status=int(head[9:12]),
        has_retry_after=b"\r\nretry-after:" in lowered,
        closes=b"\r\nconnection: close" in lowered,
        body=bytes(data[start:stop]),
    )
