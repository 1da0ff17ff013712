"""HEAD, for every GET."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.server.middleware.request_log import ROUTE_KEY

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class HeadMiddleware:
    """Has HEAD answered as GET, whose body the server then leaves out (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, send)
        finally:
            for key in ("route", ROUTE_KEY):  # which the log names
                if key in as_get:
                    scope[key] = as_get[key]
