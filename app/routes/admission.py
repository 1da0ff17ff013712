"""What routes that take an upload have in common, and what they find in a request."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

from app.server.uploads import read_body, read_upload, read_uploads
from app.xray.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Request

    from app.inference.lifecycle import Service
    from app.inference.pipeline import Pipeline
    from app.server.uploads import Share, UploadMemory
    from app.settings import Settings
    from app.xray.errors import SenderError


AT_ONCE: Final = 16
"""Pictures of one request that may wait for the model, so that it leaves room for others."""


def slots_of(request: Request) -> asyncio.Semaphore:
    """What each picture of a request with several has to hold while it waits for the model."""
    return asyncio.Semaphore(min(AT_ONCE, service_of(request).settings.max_queue))


def service_of(request: Request) -> Service:
    """The service that `create_app` wired in.

    A plain call: FastAPI would resolve a dependency anew for each request, at ten times the cost.
    """
    return cast("Service", request.app.state.service)


@asynccontextmanager
async def upload_of(request: Request) -> AsyncIterator[tuple[Pipeline, bytes]]:
    """The road for a request's one file, and the file; both are held until the block ends.

    The block, and the reading before it, are given the time that the settings give a request.

    Raises:
        NotReady, QueueFull: before a byte of the body is read; QueueFull also where uploads take
            all the memory that they may.
        MalformedRequest, UnsupportedImageType, TooManyBytes: as `read_upload`.
        DeadlineExceeded: it was not enough.
    """
    async with _admitted(request) as (pipeline, share, settings):
        yield pipeline, await read_upload(request, settings.max_upload_bytes, share)


@asynccontextmanager
async def body_of(request: Request) -> AsyncIterator[tuple[Pipeline, bytes]]:
    """The pipeline for a request, and its whole body, which is not read as a form."""
    async with _admitted(request) as (pipeline, share, settings):
        yield pipeline, await read_body(request, settings.max_upload_bytes, share)


@asynccontextmanager
async def uploads_of(
    request: Request,
) -> AsyncIterator[tuple[Pipeline, list[bytes | SenderError]]]:
    """The pipeline for a request, and its files: the bytes of each, or why they are refused.

    Raises:
        NotReady, QueueFull, DeadlineExceeded: as `upload_of`.
        MalformedRequest, UnsupportedImageType, TooManyBytes: as `read_uploads`.
    """
    async with _admitted(request) as (pipeline, share, settings):
        most, together = settings.max_upload_bytes, settings.max_held_bytes
        yield pipeline, await read_uploads(request, most, together, share)


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Give the block, reading the upload included, `seconds`.

    What is queued for a thread is taken out again; what a thread has begun it finishes.

    Raises:
        DeadlineExceeded: they were not enough.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise DeadlineExceeded(f"No answer within {seconds:g} s; try again.") from error


@asynccontextmanager
async def _admitted(request: Request) -> AsyncIterator[tuple[Pipeline, Share, Settings]]:
    service = service_of(request)
    memory: UploadMemory = request.app.state.upload_memory
    with service.pipeline.in_use() as pipeline, memory.share() as share:
        pipeline.refuse_when_full()
        async with deadline(service.settings.request_timeout_s):
            yield pipeline, share, service.settings
