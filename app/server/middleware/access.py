"""Who may ask: keys in the headers of a request, held against those of the settings."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.routing import Match

from app.server.middleware.request_log import NO_ROUTE, ROUTE_KEY
from app.xray.errors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic import SecretStr
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

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
ADMIN: Final = "/admin/"
"""Paths that start so need the admin key, and no other key opens them."""
KEY_HEADER: Final = "X-API-Key"
_SCHEME: Final = "bearer"
_HOW: Final = f"Send a key as `Authorization: Bearer KEY` or as `{KEY_HEADER}: KEY`."


class AccessMiddleware:
    """Lets a request through that brings a key, before anything else of it is read.

    Without `api_keys` everything is open but the admin's paths. `on_refusal` answers the rest.
    """

    def __init__(
        self,
        app: ASGIApp,
        api_keys: Iterable[SecretStr],
        admin_key: SecretStr | None,
        on_refusal: Callable[[Request, Unauthorized], Response],
    ) -> None:
        self._app = app
        self._api_keys = tuple(map(_digest_of, api_keys))
        self._admin_keys = (_digest_of(admin_key),) if admin_key else ()
        self._on_refusal = on_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http":
            is_admins = scope["path"].startswith(ADMIN)
            keys = self._admin_keys if is_admins else self._api_keys
            if keys and not _is_public(scope["path"]) and not _opens(scope, keys):
                scope[ROUTE_KEY] = route_of(scope)
                refusal = self._on_refusal(Request(scope), Unauthorized(_HOW))
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def route_of(scope: Scope) -> str:
    """The route that would have been asked; nothing has looked for it yet."""
    for context in iter_route_contexts(scope["app"].routes):
        if context.original_route.matches(scope)[0] is not Match.NONE:
            return str(context.path)
    return NO_ROUTE


def _is_public(path: str) -> bool:
    return path in PROBES | PAGE or path.startswith(PAGE_SCRIPTS)


def _opens(scope: Scope, keys: tuple[bytes, ...]) -> bool:
    """Whether the request brings one of `keys`; takes as long for a wrong one as for a right."""
    headers = Headers(scope=scope)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == _SCHEME else headers.get(KEY_HEADER, "")
    digest = hashlib.sha256(given.encode("latin-1")).digest()
    # Digests have one length, and all are looked at, whichever fits.
    return sum([hmac.compare_digest(digest, key) for key in keys]) > 0


def _digest_of(key: SecretStr) -> bytes:
    return hashlib.sha256(key.get_secret_value().encode("latin-1")).digest()
