"""Uploaded files out of a request, bounded while they are read and kept in memory."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from app.inference.batching import QueueFull
from app.xray.errors import MalformedRequest, SenderError, TooManyBytes, UnsupportedImageType

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from fastapi import Request


FIELD: Final = "file"
FIELDS: Final = "files"
MAX_FILES: Final = 64
"""The most files in one request to `/predict/batch`."""
_FRAMING_BYTES: Final = 65_536
"""What a form may hold around its file: boundaries, part headers, stray fields."""
_STRAY_PARTS: Final = 15
_HEADER_BYTES: Final = 16_384
"""The longest header of one part of a form: it holds the file's name, which is not used."""
_HOW: Final = f"Send one image as the multipart field {FIELD!r}, or its bytes as the body."
_HOW_MANY: Final = f"Send up to {MAX_FILES} images, each as a multipart field {FIELDS!r}."


class UploadMemory:
    """Counts the bytes that are held, of uploads that arrive and of those that wait."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """One upload's part, given back at the end of the block."""
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.held

    def refuse_unless_free(self, count: int) -> None:
        """Hold `count` bytes against what is free, without taking them.

        Raises:
            QueueFull: there are not as many.
        """
        if self.held + count > self._max_bytes:
            raise QueueFull("Uploads take all the memory they may; try again shortly.")


class Share:
    """What one upload holds."""

    def __init__(self, memory: UploadMemory) -> None:
        self._memory = memory
        self.held = 0

    def expect(self, count: int) -> None:
        """Look whether `count` bytes that are announced would find room now; raises as `take`."""
        self._memory.refuse_unless_free(count)

    def take(self, count: int) -> None:
        """Hold `count` bytes more.

        Raises:
            QueueFull: there is no room for them.
        """
        self._memory.refuse_unless_free(count)
        self._memory.held += count
        self.held += count


async def read_upload(request: Request, max_bytes: int, share: Share) -> bytes:
    """The bytes of the one file in `request`: a multipart form's field `file`, or the body.

    What is read of it is taken from `share`.

    Raises:
        MalformedRequest: no file, several, an empty one, or a form that does not parse.
        UnsupportedImageType: it is compressed (`Content-Encoding`).
        TooManyBytes: more than `max_bytes`; no more than that was read.
        QueueFull: uploads take all the memory that they may.
    """
    if not _is_form(request):
        return await read_body(request, max_bytes, share, f"The file is empty. {_HOW}")
    too_many = _too_many(max_bytes)
    bounded = _bounded(request, max_bytes + _FRAMING_BYTES, too_many, share)
    files, names = await _read_form(request, bounded, FIELD, 1, max_bytes, _HOW)
    _refuse_unless_one([part for part, _ in files], names)
    data = bytes(files[0][1])
    if len(data) > max_bytes:
        raise too_many
    if not data:
        raise MalformedRequest(f"The file is empty. {_HOW}")
    return data


async def read_body(
    request: Request, max_bytes: int, share: Share, if_empty: str = "The body is empty."
) -> bytes:
    """The bytes of the body, whatever it is; taken from `share` as they are read.

    Raises:
        MalformedRequest: there are none, which `if_empty` tells.
        UnsupportedImageType, TooManyBytes, QueueFull: as `read_upload`.
    """
    bounded = _bounded(request, max_bytes, _too_many(max_bytes), share)
    data = b"".join([chunk async for chunk in bounded])
    if not data:
        raise MalformedRequest(if_empty)
    return data


async def read_uploads(
    request: Request, max_bytes: int, max_together: int, share: Share
) -> list[bytes | SenderError]:
    """The files of a multipart form's fields `files`, in order: bytes, or why they are refused.

    A file of more than `max_bytes`, and an empty one, spoil no other.

    Raises:
        MalformedRequest: no such field, one that is text, more than `MAX_FILES`, or a form that
            does not parse.
        UnsupportedImageType: as `read_upload`.
        TooManyBytes: more than `max_together` in all; no more than that was read.
        QueueFull: uploads take all the memory that they may.
    """
    if not _is_form(request):
        raise MalformedRequest(f"The request is no multipart form. {_HOW_MANY}")
    too_many = TooManyBytes(f"The uploads are larger than {max_together / 1e6:g} MB together.")
    bounded = _bounded(request, max_together, too_many, share)
    files, _ = await _read_form(request, bounded, FIELDS, MAX_FILES, max_bytes, _HOW_MANY)
    if not files or len(files) > MAX_FILES:
        raise MalformedRequest(f"The form has {len(files) or 'no'} fields {FIELDS!r}. {_HOW_MANY}")
    if not all(_is_file(part) for part, _ in files):
        raise MalformedRequest(f"A field {FIELDS!r} is text: it has no file name. {_HOW_MANY}")
    return [_taken(bytes(data), max_bytes) for _, data in files]


def _taken(data: bytes, max_bytes: int) -> bytes | SenderError:
    if not data:
        return MalformedRequest("The file is empty.")
    return data if len(data) <= max_bytes else _too_many(max_bytes)


async def _read_form(
    request: Request,
    body: AsyncIterator[bytes],
    field: str,
    max_files: int,
    max_bytes: int,
    how: str,
) -> tuple[list[tuple[MultipartSegment, bytearray]], list[str]]:
    """Each part named `field`, with no more than a chunk beyond `max_bytes` of it; all names."""
    names: list[str] = []
    files: list[tuple[MultipartSegment, bytearray]] = []
    is_wanted = False
    try:
        _, options = parse_options_header(request.headers["content-type"])
        parser = PushMultipartParser(
            options.get("boundary", ""),
            max_segment_count=max_files + _STRAY_PARTS,
            max_header_size=_HEADER_BYTES,
        )
        async for chunk in body:
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    names.append(event.name or "")
                    is_wanted = event.name == field
                    files += [(event, bytearray())] if is_wanted else []
                elif event and is_wanted and len(files[-1][1]) <= max_bytes:
                    files[-1][1].extend(event)
        parser.close()
    except MultipartError as error:
        raise MalformedRequest(f"The multipart form is broken: {error.args[0]}. {how}") from error
    return files, names


def _refuse_unless_one(files: list[MultipartSegment], names: list[str]) -> None:
    if not files:
        found = ", ".join(repr(name[:40]) for name in names) or "none"
        raise MalformedRequest(f"The form lacks the field {FIELD!r}; its fields: {found}. {_HOW}")
    if len(files) > 1:
        raise MalformedRequest(f"The form has {len(files)} fields {FIELD!r}. {_HOW}")
    if not _is_file(files[0]):
        raise MalformedRequest(f"The field {FIELD!r} is text: it has no file name. {_HOW}")


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/")


def _is_file(part: MultipartSegment) -> bool:
    # The parser knows no `filename*` (RFC 5987), with which some clients write other letters.
    return part.filename is not None or "filename*=" in part["Content-Disposition"]


async def _bounded(
    request: Request, limit: int, too_many: TooManyBytes, share: Share
) -> AsyncGenerator[bytes, None]:
    """The body's chunks, refused as soon as they, or their announced length, exceed `limit`."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedImageType("The body has a Content-Encoding; send it as it is.")
    announced = request.headers.get("content-length", "")
    if re.fullmatch("[0-9]{1,19}", announced):
        if int(announced) > limit:
            raise too_many
        share.expect(int(announced))
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise too_many
        share.take(len(chunk))
        if chunk:
            yield chunk


def _too_many(max_bytes: int) -> TooManyBytes:
    return TooManyBytes(f"The upload is larger than {max_bytes / 1e6:g} MB.")
