"""What every answer says to browsers about what they may do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY_HEADER: Final = "Content-Security-Policy"
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""For pages of our own: nothing inline, nothing from elsewhere."""

_NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS: Final = {
    POLICY_HEADER: _NOTHING,
    "Cache-Control": "no-store",  # answers are about patients
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_RAW: Final = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]


class SecurityHeadersMiddleware:
    """Adds the headers that an answer does not bring itself; a page brings its own policy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                names = {name for name, _ in given}
                message["headers"] = [*given, *(pair for pair in _RAW if pair[0] not in names)]
            await send(message)

        await self._app(scope, receive, send_with_headers)
