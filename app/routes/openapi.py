"""How the OpenAPI page describes uploads, refusals and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.inference.batching import QueueFull
from app.server.middleware.access import ADMIN, KEY_HEADER, is_guarded
from app.server.problems import responses
from app.server.uploads import FIELD, FIELDS, MAX_FILES
from app.xray import errors
from app.xray.image_types import NAMES, TYPES

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
    "description": f"One frontal chest X-ray, {NAMES}; its type is decided from its bytes.",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {FIELD: _BINARY["schema"]},
            }
        },
        **{kind.media_type: _BINARY for kind in TYPES},
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


REFUSALS: Final = responses(
    errors.Unauthorized,
    errors.MalformedRequest,
    errors.TooManyBytes,
    errors.TooManyPixels,
    errors.UnsupportedImageType,
    errors.WrongModality,
    errors.UnusableImage,
    errors.NotAChestXray,
    errors.NotExplainable,
    errors.NotReady,
    QueueFull,
    errors.DeadlineExceeded,
)
"""How the OpenAPI page describes the refusals of a request with one upload."""


BATCH_REFUSALS: Final = responses(
    errors.Unauthorized,
    errors.MalformedRequest,
    errors.TooManyBytes,
    errors.UnsupportedImageType,
    errors.NotReady,
    QueueFull,
    errors.DeadlineExceeded,
)
"""How the OpenAPI page describes the refusals of a request with several uploads as a whole."""


def describe_keys(app: FastAPI, settings: Settings) -> None:
    """Say in the OpenAPI description of `app` which of its operations need a key."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        schema = describe()
        schema.setdefault("components", {})["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
        }
        for path, operations in schema["paths"].items():
            needs_key = path.startswith(ADMIN) or (settings.needs_key and is_guarded(path))
            for operation in operations.values():
                operation["security"] = [{"bearer": []}, {"key": []}] if needs_key else []
        return schema

    app.openapi = described  # type: ignore[method-assign]
