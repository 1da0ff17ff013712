"""`GET /docs`: the OpenAPI description as a page, without a request to any other host."""

from __future__ import annotations

from importlib.resources import files
from typing import Final, Literal

from fastapi import APIRouter, Response

from app.server.middleware.security_headers import PAGE_POLICY, POLICY_HEADER

router = APIRouter(include_in_schema=False)

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>CXR inference</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="docs">Reading <a href="openapi.json">openapi.json</a>; this page needs JavaScript.</div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START: Final = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#docs", deepLinking: true});\n'
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}

Asset = Literal["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"]


@router.get("/docs")
async def page() -> Response:
    """The page itself."""
    return Response(_PAGE, media_type="text/html", headers={POLICY_HEADER: PAGE_POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    """The OpenAPI page's script, which a strict policy does not let the page itself hold."""
    return Response(_START, media_type=_TYPES[".js"])


@router.get("/docs/{name}")
def asset(name: Asset) -> Response:
    """A file of Swagger UI's."""
    content = files("fastapi_swagger.resources").joinpath(name).read_bytes()
    media_type = _TYPES[name[name.rindex(".") :]]
    return Response(content, media_type=media_type, headers={"Cache-Control": "max-age=86400"})
