"""What routes are given."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from app.request_id import request_id_of
from app.service import Service


def _service(request: Request) -> Service:
    return cast("Service", request.app.state.service)


def _request_id(request: Request) -> str:
    return request_id_of(request.scope)


ServiceDep = Annotated[Service, Depends(_service)]
RequestIdDep = Annotated[str, Depends(_request_id)]
