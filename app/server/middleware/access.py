"""Who may ask: keys in the headers of a request, held against those that open the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.routing import Match

from app.server.middleware.request_log import NO_ROUTE, ROUTE_KEY, note
from app.xray.errors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from app.server.keys import Keyring

PROBES: Final = frozenset(
    {"/health", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"}
)
"""Orchestrators ask these, and have no key."""
WATCHED: Final = PROBES | {"/metrics"}
"""What is asked every few seconds, however busy the service is."""
PAGE: Final = frozenset({"/", "/app.css"})
"""Where a person types one in."""
PAGE_SCRIPTS: Final = "/scripts/"
"""The modules of that page have paths that start so."""
DOCS: Final = "/docs"
"""Where a person types one in too, and its files; they tell nothing that is not published."""
DESCRIPTION: Final = "/openapi.json"
ADMIN: Final = "/admin/"
"""Paths that start so need the admin key, and no other key opens them."""
KEY_HEADER: Final = "X-API-Key"
_SCHEME: Final = "bearer"
_HOW: Final = f"Send a key as `Authorization: Bearer KEY` or as `{KEY_HEADER}: KEY`."


class AccessMiddleware:
    """Lets a request through that brings a key of `keyring`, before anything else of it is read.

    Without API keys everything is open but the admin's paths. `on_refusal` answers the rest;
    `on_owner` is told the name of the key of each that is let through by one.
    """

    def __init__(
        self,
        app: ASGIApp,
        keyring: Keyring,
        on_refusal: Callable[[Request, Unauthorized], Response],
        on_owner: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._on_refusal = on_refusal
        self._on_owner = on_owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and self._needs_key(scope):
            owner = self._keyring.owner_of(_given(scope), for_admin=_is_admins(scope))
            if owner is None:
                scope[ROUTE_KEY] = route_of(scope)
                refusal = self._on_refusal(Request(scope), Unauthorized(_HOW))
                await refusal(scope, receive, send)
                return
            note(scope, key=owner)
            self._on_owner(owner)
        await self._app(scope, receive, send)

    def _needs_key(self, scope: Scope) -> bool:
        return is_guarded(scope["path"]) and not self._keyring.is_open(for_admin=_is_admins(scope))


def is_guarded(path: str) -> bool:
    """Whether a path needs a key where there are keys."""
    is_open = path in PROBES | PAGE | {DOCS, DESCRIPTION}
    return not (is_open or path.startswith((PAGE_SCRIPTS, f"{DOCS}/")))


def route_of(scope: Scope) -> str:
    """The route that would have been asked; nothing has looked for it yet."""
    for context in iter_route_contexts(scope["app"].routes):
        if context.original_route.matches(scope)[0] is not Match.NONE:
            return str(context.path)
    return NO_ROUTE


def _is_admins(scope: Scope) -> bool:
    return str(scope["path"]).startswith(ADMIN)


def _given(scope: Scope) -> str:
    """The key that a request brings, empty where it brings none."""
    headers = Headers(scope=scope)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == _SCHEME else headers.get(KEY_HEADER, "")
