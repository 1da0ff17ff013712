"""`GET /`: the page on which a person drops an X-ray, and its two files."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request, Response

from app.server.middleware.security_headers import PAGE_POLICY, POLICY_HEADER

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page(request: Request) -> Response:
    """The page itself; it holds nothing secret and needs no key."""
    answer = _file(request, "index.html", "text/html")
    answer.headers[POLICY_HEADER] = PAGE_POLICY
    return answer


@router.get("/app.css")
async def stylesheet(request: Request) -> Response:
    """How it looks."""
    return _file(request, "app.css", "text/css")


@router.get("/app.js")
async def script(request: Request) -> Response:
    """What it does."""
    return _file(request, "app.js", "text/javascript")


def _file(request: Request, name: str, media_type: str) -> Response:
    """The file, compressed for those who take it so."""
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if zipped else {})
    return Response(_read(name, zipped=zipped), media_type=media_type, headers=headers)


@cache
def _read(name: str, *, zipped: bool) -> bytes:
    content = files("app").joinpath("web", name).read_bytes()
    return gzip.compress(content, mtime=0) if zipped else content
