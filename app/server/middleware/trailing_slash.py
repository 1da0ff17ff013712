"""A path that ends with a slash is the path without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class TrailingSlashMiddleware:
    """Has `/predict/` answered as `/predict`.

    A redirect, which the routes would send otherwise, is followed by few clients of an upload.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path = scope["path"].removesuffix("/")
            if path != scope["path"] and path and not path.endswith("/"):
                raw = scope.get("raw_path") or path.encode()
                scope = {**scope, "path": path, "raw_path": raw.removesuffix(b"/")}
        await self._app(scope, receive, send)
