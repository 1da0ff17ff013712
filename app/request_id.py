"""Every request has an id; a client finds it in the answer, an operator in the log."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "X-Request-ID"
_KEY: Final = "cxr.request_id"
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestIdMiddleware:
    """Give each request an id and turn what nobody caught into one last answer.

    The client's own `X-Request-ID` is taken where it is safe to log. `on_bug` answers an
    exception that no handler knew; it is called once, at the edge.
    """

    def __init__(self, app: ASGIApp, on_bug: Callable[[Request, Exception], Response]) -> None:
        self._app = app
        self._on_bug = on_bug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        scope[_KEY] = given if _ACCEPTED.fullmatch(given) else uuid.uuid4().hex
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[HEADER] = request_id_of(scope)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if started:
                raise
            await self._on_bug(Request(scope), error)(scope, receive, send_with_id)


def request_id_of(scope: Scope) -> str:
    """The id that the middleware gave to this request."""
    return str(scope[_KEY])
