"""`GET /`: the page on which a person drops an X-ray, and its two files."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

from app.security_headers import PAGE_POLICY, POLICY_HEADER

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page() -> Response:
    """The page itself; it holds nothing secret and needs no key."""
    return Response(
        _read("index.html"), media_type="text/html", headers={POLICY_HEADER: PAGE_POLICY}
    )


@router.get("/app.css")
async def stylesheet() -> Response:
    """How it looks."""
    return Response(_read("app.css"), media_type="text/css")


@router.get("/app.js")
async def script() -> Response:
    """What it does."""
    return Response(_read("app.js"), media_type="text/javascript")


def _read(name: str) -> bytes:
    return files("app").joinpath("web", name).read_bytes()
