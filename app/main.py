"""The only wiring: settings -> application."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import FastAPI

from app.classifier import load_classifier
from app.problems import add_problem_handlers, internal_error
from app.request_id import RequestIdMiddleware
from app.routes import explain, ops, predict
from app.service import Service
from app.settings import VERSION, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from app.classifier import Classifier

DESCRIPTION = (
    "Which class a chest X-ray looks like, and how sure the model is. "
    "**Research software, not a medical device: not for diagnosis or treatment.**"
)


def create_app(
    settings: Settings | None = None, *, load: Callable[[Settings], Classifier] = load_classifier
) -> FastAPI:
    """The service; `settings` default to the environment's, `load` to the real checkpoint.

    Raises `SettingsError` where a CXR_ variable has a value that is not allowed.
    """
    service = Service(settings or read_settings(), load)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(service.start())
        yield
        service.stop()
        loading.cancel()
        with suppress(asyncio.CancelledError):
            await loading
        service.close()

    app = FastAPI(
        title="CXR inference", version=VERSION, description=DESCRIPTION, lifespan=lifespan
    )
    app.state.service = service
    app.include_router(predict.router)
    app.include_router(explain.router)
    app.include_router(ops.router)
    add_problem_handlers(app)
    app.add_middleware(RequestIdMiddleware, on_bug=internal_error)
    return app
