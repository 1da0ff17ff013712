"""What routes find in a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from fastapi import Request

    from app.service import Service


def service_of(request: Request) -> Service:
    """The service that `create_app` wired in.

    A plain call: FastAPI would resolve a dependency anew for each request, at ten times the cost.
    """
    return cast("Service", request.app.state.service)
