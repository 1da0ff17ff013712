"""`GET /`: the page on which a person drops an X-ray, its style and its modules."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response

from app.server.middleware.security_headers import PAGE_POLICY, POLICY_HEADER

router = APIRouter(include_in_schema=False)

_WEB: Final = Path(__file__).parents[1] / "web"


@router.get("/")
async def page(request: Request) -> Response:
    """The page itself; it holds nothing secret and needs no key."""
    answer = _file(request, "index.html", "text/html")
    answer.headers[POLICY_HEADER] = PAGE_POLICY
    return answer


@router.get("/app.css")
async def stylesheet(request: Request) -> Response:
    """How the page looks."""
    return _file(request, "app.css", "text/css")


@router.get("/scripts/{name:path}")
async def script(request: Request, name: str) -> Response:
    """One module of what the page does, such as `answer/verdict.js`; 404 where there is none."""
    path = f"scripts/{name}"
    if path not in _modules():
        raise HTTPException(404)
    return _file(request, path, "text/javascript")


def _file(request: Request, path: str, media_type: str) -> Response:
    """The file, compressed for those who take it so."""
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if zipped else {})
    return Response(_read(path, zipped=zipped), media_type=media_type, headers=headers)


@cache
def _read(path: str, *, zipped: bool) -> bytes:
    content = _WEB.joinpath(path).read_bytes()
    return gzip.compress(content, mtime=0) if zipped else content


@cache
def _modules() -> frozenset[str]:
    """The paths of all modules; what a request names is looked up here before it is opened."""
    scripts = _WEB.joinpath("scripts").rglob("*.js")
    return frozenset(path.relative_to(_WEB).as_posix() for path in scripts)
