"""One uploaded file out of a request, bounded while it is read and kept in memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from app.xray.errors import MalformedRequest, TooManyBytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import Request

    from app.upload_memory import Share

FIELD: Final = "file"
_FRAMING_BYTES: Final = 65_536
"""What a form may hold around its file: boundaries, part headers, stray fields."""
_MAX_PARTS: Final = 16
_HEADER_BYTES: Final = 16_384
"""Of one header of one part: its file's name, of which nothing is made."""
_HOW: Final = f"Send one image as the multipart field {FIELD!r}, or its bytes as the body."


async def read_upload(request: Request, max_bytes: int, share: Share) -> bytes:
    """The bytes of the one file in `request`: a multipart form's field `file`, or the body.

    What is read of it is taken from `share`.

    Raises:
        MalformedRequest: no file, several, an empty one, or a form that does not parse.
        TooManyBytes: more than `max_bytes`; no more than that was read.
        QueueFull: uploads take all the memory that they may.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.lower().startswith("multipart/"):
        data = await _read_form(request, content_type, max_bytes, share)
    else:
        data = b"".join([chunk async for chunk in _bounded(request, max_bytes, max_bytes, share)])
    if len(data) > max_bytes:
        raise _too_many(max_bytes)
    if not data:
        raise MalformedRequest(f"The file is empty. {_HOW}")
    return data


async def _read_form(request: Request, content_type: str, max_bytes: int, share: Share) -> bytes:
    names: list[str] = []
    files: list[MultipartSegment] = []
    pieces: list[bytes] = []
    part: MultipartSegment | None = None
    try:
        _, options = parse_options_header(content_type)
        parser = PushMultipartParser(
            options.get("boundary", ""), max_segment_count=_MAX_PARTS, max_header_size=_HEADER_BYTES
        )
        async for chunk in _bounded(request, max_bytes + _FRAMING_BYTES, max_bytes, share):
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    part = event
                    names.append(part.name or "")
                    files += [part] if part.name == FIELD else []
                elif event and part in files:
                    pieces.append(bytes(event))
        parser.close()
    except MultipartError as error:
        raise MalformedRequest(f"The multipart form is broken: {error.args[0]}. {_HOW}") from error
    _refuse_unless_one(files, names)
    return b"".join(pieces)


def _refuse_unless_one(files: list[MultipartSegment], names: list[str]) -> None:
    if not files:
        found = ", ".join(repr(name[:40]) for name in names) or "none"
        raise MalformedRequest(f"The form lacks the field {FIELD!r}; its fields: {found}. {_HOW}")
    if len(files) > 1:
        raise MalformedRequest(f"The form has {len(files)} fields {FIELD!r}. {_HOW}")
    # The parser knows no `filename*` (RFC 5987), with which some clients write other letters.
    if files[0].filename is None and "filename*=" not in files[0]["Content-Disposition"]:
        raise MalformedRequest(f"The field {FIELD!r} is text: it has no file name. {_HOW}")


async def _bounded(
    request: Request, limit: int, max_bytes: int, share: Share
) -> AsyncGenerator[bytes, None]:
    """The body's chunks, refused as soon as they, or their announced length, exceed `limit`."""
    announced = request.headers.get("content-length", "")
    if re.fullmatch("[0-9]{1,19}", announced):
        if int(announced) > limit:
            raise _too_many(max_bytes)
        share.expect(int(announced))
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise _too_many(max_bytes)
        share.take(len(chunk))
        if chunk:
            yield chunk


def _too_many(max_bytes: int) -> TooManyBytes:
    return TooManyBytes(f"The upload is larger than {max_bytes / 1e6:g} MB.")
