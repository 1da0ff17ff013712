"""What would find no place is refused here, before anything is made of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from app.access import WATCHED, route_of
from app.request_id import ROUTE_KEY
from app.xray.errors import TooManyConnections

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from app.service import Service

UPLOADS: Final = frozenset({"/predict", "/predict/batch", "/explain"})
CROWDED_KEY: Final = "cxr.crowded"
"""Where a connection that is one too many says so."""
_INFERENCE: Final = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer")


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
        if scope["type"] == "http":
            reason: Exception | None = _crowded(scope)
            if not reason and scope["method"] == "POST" and (route := _route(scope)):
                scope[ROUTE_KEY] = route
                reason = self._service.refusal()
            if reason:
                await self._on_refusal(Request(scope), reason)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _crowded(scope: Scope) -> TooManyConnections | None:
    if not scope.get(CROWDED_KEY) or scope["path"] in WATCHED:
        return None
    scope[ROUTE_KEY] = route_of(scope)
    return TooManyConnections("Too many connections are open; try again shortly.")


def _route(scope: Scope) -> str | None:
    """The route that takes the upload, as the metrics name it; None where it is none."""
    if scope["path"] in UPLOADS:
        return str(scope["path"])
    found = _INFERENCE.fullmatch(scope["path"])
    return (
        f"/v2/models/{{name}}{'/versions/{version}' if found[1] else ''}/infer" if found else None
    )
