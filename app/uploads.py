"""One uploaded file out of a request, bounded while it is read and kept in memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.xray.errors import MalformedRequest, TooManyBytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import Request
    from starlette.datastructures import FormData

FIELD: Final = "file"
_FRAMING_BYTES: Final = 65_536
"""What a form may hold around its file: boundaries, part headers, stray fields."""
_MAX_PARTS: Final = 16
_HOW: Final = f"Send one image as the multipart field {FIELD!r}, or its bytes as the body."


class _InMemoryParser(MultiPartParser):
    """Starlette's parser, which writes files of over 1 MB to disk unless it is told not to."""

    spool_max_size = 0  # of a SpooledTemporaryFile: 0 means never on disk


async def read_upload(request: Request, max_bytes: int) -> bytes:
    """The bytes of the one file in `request`: a multipart form's field `file`, or the body.

    Raises:
        MalformedRequest: no file, several, an empty one, or a form that does not parse.
        TooManyBytes: more than `max_bytes`; no more than that was read.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        data = await _read_form(request, max_bytes)
    else:
        data = b"".join([chunk async for chunk in _bounded(request, max_bytes, max_bytes)])
    if len(data) > max_bytes:
        raise _too_many(max_bytes)
    if not data:
        raise MalformedRequest(f"The file is empty. {_HOW}")
    return data


async def _read_form(request: Request, max_bytes: int) -> bytes:
    stream = _bounded(request, max_bytes + _FRAMING_BYTES, max_bytes)
    parser = _InMemoryParser(request.headers, stream, max_files=_MAX_PARTS, max_fields=_MAX_PARTS)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:
        raise MalformedRequest(f"The multipart form is broken: {error} {_HOW}") from error
    try:
        return await _only_file(form).read()
    finally:
        await form.close()


def _only_file(form: FormData) -> UploadFile:
    files = form.getlist(FIELD)
    if not files:
        found = ", ".join(repr(name[:40]) for name in form) or "none"
        raise MalformedRequest(f"The form lacks the field {FIELD!r}; its fields: {found}. {_HOW}")
    if len(files) > 1:
        raise MalformedRequest(f"The form has {len(files)} fields {FIELD!r}. {_HOW}")
    (file,) = files
    if not isinstance(file, UploadFile):
        raise MalformedRequest(f"The field {FIELD!r} is text: it has no file name. {_HOW}")
    return file


async def _bounded(request: Request, limit: int, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body's chunks, refused as soon as they, or their announced length, exceed `limit`."""
    announced = request.headers.get("content-length", "")
    if re.fullmatch("[0-9]{1,19}", announced) and int(announced) > limit:
        raise _too_many(max_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise _too_many(max_bytes)
        yield chunk


def _too_many(max_bytes: int) -> TooManyBytes:
    return TooManyBytes(f"The upload is larger than {max_bytes / 1e6:g} MB.")
