"""How the OpenAPI page describes uploads, limits and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.server.middleware.access import ADMIN, KEY_HEADER, is_guarded
from app.server.middleware.request_log import HEADER as REQUEST_ID
from app.server.uploads import FIELD, FIELDS, MAX_FILES
from app.xray.image_types import NAMES

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.settings import Settings


_BINARY: Final[dict[str, Any]] = {
    "schema": {
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/octet-stream",
    }
}


_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": (
        f"One frontal chest X-ray, {NAMES}; its type is decided from its bytes, not from its name "
        "or Content-Type."
    ),
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {FIELD: _BINARY["schema"]},
            }
        },
        "application/octet-stream": _BINARY,
    },
}


REQUEST_BODY: Final[dict[str, Any]] = {"requestBody": _BODY}
"""How the OpenAPI page describes an upload."""


BATCH_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": f"Up to {MAX_FILES} frontal chest X-rays, as `POST /predict` takes them.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELDS],
                    "properties": {
                        FIELDS: {
                            "type": "array",
                            "items": _BINARY["schema"],
                            "minItems": 1,
                            "maxItems": MAX_FILES,
                        }
                    },
                }
            }
        },
    }
}
"""How the OpenAPI page describes several uploads in one request."""


_REQUEST_ID: Final[dict[str, Any]] = {
    "description": "The sender's own, or the trace-id of its traceparent, or a new one",
    "schema": {"type": "string"},
}
_VALIDATION: Final = ("HTTPValidationError", "ValidationError")
"""What FastAPI would answer with 422; here it is a `Problem` with 400."""


def describe(app: FastAPI, settings: Settings) -> None:
    """Say in the OpenAPI description of `app` what holds for all of its operations.

    That is the id in each answer, the limits of an upload, and which operations need a key.
    """
    draft = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = draft()
        _leave_out_validation(schema)
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                for answer in operation["responses"].values():
                    answer["headers"] = {**answer.get("headers", {}), REQUEST_ID: _REQUEST_ID}
                if "requestBody" in operation:
                    _tell_limits(operation["requestBody"], settings)
                _tell_keys(operation, path, settings)
        if settings.needs_key or settings.admin_key:
            schema["components"]["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
            }
        return schema

    app.openapi = described  # type: ignore[method-assign]


def _leave_out_validation(schema: dict[str, Any]) -> None:
    for operations in schema["paths"].values():
        for operation in operations.values():
            if _VALIDATION[0] in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for name in _VALIDATION:
        schema["components"]["schemas"].pop(name, None)


def _tell_limits(body: dict[str, Any], settings: Settings) -> None:
    limits = (
        f"At most {settings.max_upload_mb:g} MB (of 1,000,000 bytes) and "
        f"{settings.max_pixels:,} pixels a picture."
    )
    body["description"] = " ".join(filter(None, [body.get("description"), limits]))


def _tell_keys(operation: dict[str, Any], path: str, settings: Settings) -> None:
    needs_key = path.startswith(ADMIN) or (settings.needs_key and is_guarded(path))
    if needs_key:
        operation["security"] = [{"bearer": []}, {"key": []}]
    elif settings.needs_key or settings.admin_key:
        operation["security"] = []
