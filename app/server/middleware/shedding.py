"""What would find no place is refused here, before anything is made of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from app.server.middleware.access import WATCHED, route_of
from app.server.middleware.request_log import ROUTE_KEY
from app.xray.errors import TooManyConnections

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from app.inference.lifecycle import Service

CROWDED_KEY: Final = "cxr.crowded"
"""The key of the scope by which a connection beyond the limit is marked."""
UPLOADS: Final = re.compile(
    "/predict|/predict/batch|/explain|/v2/models/[^/]+(/versions/[^/]+)?/infer"
)
"""The paths of every route that takes an upload."""


class SheddingMiddleware:
    """Answers an upload by `on_refusal` where the queue is full, or no model ready.

    So it answers everything on a connection that is one too many, but for what is watched.

    The routes look for themselves; but at several times the capacity refusals are most of what a
    server does, and going as far as the routes makes each of them three times as dear.
    """

    def __init__(
        self, app: ASGIApp, service: Service, on_refusal: Callable[[Request, Exception], Response]
    ) -> None:
        self._app = app
        self._service = service
        self._on_refusal = on_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        reason = self._refusal(scope) if scope["type"] == "http" else None
        if reason:
            scope[ROUTE_KEY] = route_of(scope)
            await self._on_refusal(Request(scope), reason)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Exception | None:
        """Why this request is refused; None where it is not."""
        if scope.get(CROWDED_KEY) and scope["path"] not in WATCHED:
            return TooManyConnections("Too many connections are open; try again shortly.")
        if scope["method"] == "POST" and UPLOADS.fullmatch(scope["path"]):
            return self._service.refusal()
        return None
