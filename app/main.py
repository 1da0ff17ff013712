"""The only wiring: settings -> application."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.inference.lifecycle import Service
from app.inference.loading import load_classifier
from app.routes import docs, explain, openapi, ops, page, predict
from app.routes.oip import metadata as inference_metadata
from app.routes.oip import routes as inference_protocol
from app.runtime.metrics import Metrics
from app.runtime.tracing import Tracing
from app.server.keys import Keyring
from app.server.middleware.access import KEY_HEADER, WATCHED, AccessMiddleware
from app.server.middleware.head_requests import HeadMiddleware
from app.server.middleware.request_log import HEADER as REQUEST_ID_HEADER
from app.server.middleware.request_log import RequestIdMiddleware
from app.server.middleware.security_headers import SecurityHeadersMiddleware
from app.server.middleware.shedding import SheddingMiddleware
from app.server.middleware.tracing import TracingMiddleware
from app.server.middleware.trailing_slash import TrailingSlashMiddleware
from app.server.problems import add_problem_handlers, internal_error, refusal
from app.server.uploads import UploadMemory
from app.settings import VERSION, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.inference.loading import Load

DESCRIPTION = (
    "Which class a chest X-ray looks like, and how sure the model is. "
    "**Research software, not a medical device: not for diagnosis or treatment.**"
)


def create_app(settings: Settings | None = None, *, load: Load = load_classifier) -> FastAPI:
    """The service; `settings` default to the environment's, `load` to the real checkpoint.

    Raises `SettingsError` where a CXR_ variable has a value that is not allowed, or the file of
    keys cannot be used.
    """
    settings = settings or read_settings()
    tracing = Tracing(VERSION) if settings.traces else None
    metrics = Metrics(tracing.add_stage) if tracing else Metrics()
    service = Service(settings, load, metrics)
    keyring = Keyring(settings)
    metrics.set_keys(keyring.names)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(service.start())
        yield
        service.stop()
        loading.cancel()
        with suppress(asyncio.CancelledError):
            await loading
        service.close()
        if tracing:
            tracing.close()

    app = FastAPI(
        title="CXR inference",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.keyring = keyring
    app.state.upload_memory = UploadMemory(settings.max_held_bytes)
    app.include_router(predict.router)
    app.include_router(explain.router)
    app.include_router(inference_metadata.router)
    app.include_router(inference_protocol.router)
    app.include_router(ops.router)
    app.include_router(page.router)
    if settings.admin_key:
        app.include_router(ops.admin_router)
    if settings.docs:
        app.include_router(docs.router)
    openapi.describe(app, settings)
    add_problem_handlers(app, metrics)
    # The last one added is the first to see a request.
    app.add_middleware(SheddingMiddleware, service, refusal)
    app.add_middleware(AccessMiddleware, keyring, refusal, metrics.count_key)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", KEY_HEADER, REQUEST_ID_HEADER],
            expose_headers=["Retry-After", REQUEST_ID_HEADER, explain.HEADER],
        )
    app.add_middleware(HeadMiddleware)
    app.add_middleware(
        RequestIdMiddleware, on_bug=internal_error, on_done=metrics.count_request, quiet=WATCHED
    )
    if tracing:
        app.add_middleware(TracingMiddleware, tracing)
    app.add_middleware(TrailingSlashMiddleware)
    app.add_middleware(SecurityHeadersMiddleware)
    return app
