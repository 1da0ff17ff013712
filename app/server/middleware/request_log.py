"""Every request has an id; a client finds it in the answer, an operator in the log."""

from __future__ import annotations

import logging
import random
import re
import time
from http import HTTPMethod
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

HEADER: Final = "X-Request-ID"
_KEY: Final = "cxr.request_id"
_METHODS: Final = frozenset(HTTPMethod)
_SUCCESS: Final = 2
_CLIENT_CLOSED_REQUEST: Final = 499  # as nginx logs it; nobody is there to receive it
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TRACE: Final = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<id>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"(?P<more>-.*)?"
)
DRAWN_KEY: Final = "cxr.drawn_request_id"
"""The key of the scope under which earlier middleware puts an id, where a client sent none."""
ROUTE_KEY: Final = "cxr.route"
"""The key of the scope under which middleware that answers for a route names the route."""
_NOTES_KEY: Final = "cxr.notes"
NO_ROUTE: Final = "(no route)"
NO_METHOD: Final = "-"


class RequestIdMiddleware:
    """Give each request an id and a line in the log, and answer what nobody caught.

    The id is the client's own `X-Request-ID`, of harmless characters, or the trace-id of its
    `traceparent` (W3C Trace Context, section 3.2); else it is drawn. The line has that, method,
    route, status, duration and what was noted; `on_done` is told method, route, status and seconds.
    Where a route of `quiet` answers 2xx, the line is one for debugging. `on_bug` answers an
    exception that no handler knew; it is called once, at the edge. A client that went away is no
    bug: its line says 499.
    """

    def __init__(
        self,
        app: ASGIApp,
        on_bug: Callable[[Request, Exception], Response],
        on_done: Callable[[str, str, int, float], None] = lambda *_: None,
        quiet: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._quiet = quiet
        self._on_bug = on_bug
        self._on_done = on_done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[_KEY] = _given(Headers(scope=scope)) or scope.get(DRAWN_KEY) or draw_id()
        scope[_NOTES_KEY] = notes = dict[str, str]()
        status = 0
        start = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id_of(scope)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            status = _CLIENT_CLOSED_REQUEST
        except Exception as error:
            if status:
                raise
            await self._on_bug(Request(scope), error)(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - start
            method, route = request_labels(scope)
            self._on_done(method, route, status, seconds)
            is_routine = route in self._quiet and status // 100 == _SUCCESS
            _log_line(
                logging.DEBUG if is_routine else logging.INFO,
                {
                    "method": method,
                    "route": route,
                    "status": status,
                    "duration_ms": round(1000 * seconds, 1),
                    "request_id": request_id_of(scope),
                    **notes,
                },
            )


def note(scope: Scope, *, problem: str | None = None, key: str | None = None) -> None:
    """Have the request's line name the problem that it was refused with, or whose key it brought.

    Copies of the scope share what is noted.
    """
    notes = {"problem": problem, "key": key}
    scope[_NOTES_KEY].update({name: value for name, value in notes.items() if value})


def _log_line(level: int, said: dict[str, Any]) -> None:
    log.log(
        level,
        "%s %s %d%s %.0f ms %s%s",
        said["method"],
        said["route"],
        said["status"],
        f" {said['problem']}" if "problem" in said else "",
        said["duration_ms"],
        said["request_id"],
        f" by {said['key']}" if "key" in said else "",
        extra=said,
    )


def _given(headers: Headers) -> str | None:
    own = headers.get(HEADER, "")
    if _ACCEPTED.fullmatch(own):
        return own
    trace = _TRACE.fullmatch(headers.get("traceparent", ""))
    if trace is None or (trace["version"] == "00" and trace["more"]):
        return None
    return trace["id"]


def draw_id() -> str:
    """32 hexadecimal digits, as a trace-id has."""
    # It is no secret. `uuid4` asks the kernel, and lets the interpreter go to another thread.
    return f"{random.getrandbits(128):032x}"


def request_labels(scope: Scope) -> tuple[str, str]:
    """Method and route of a request that was served, of which there are only so many."""
    method = scope["method"] if scope["method"] in _METHODS else NO_METHOD
    named = str(scope.get(ROUTE_KEY, NO_ROUTE))
    return method, getattr(scope.get("route"), "path", named)


def request_id_of(scope: Scope) -> str:
    """The id that the middleware gave to this request."""
    return str(scope[_KEY])
