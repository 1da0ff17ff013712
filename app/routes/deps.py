"""What routes that take an upload have in common, and what they find in a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from app.batching import QueueFull
from app.problems import responses
from app.uploads import FIELD
from app.xray import errors

if TYPE_CHECKING:
    from fastapi import Request

    from app.service import Service


_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": (
        "One frontal chest X-ray, JPEG, PNG or DICOM; its type is decided from its bytes."
    ),
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {FIELD: _BINARY["schema"]},
            }
        },
        "image/jpeg": _BINARY,
        "image/png": _BINARY,
        "application/dicom": _BINARY,
        "application/octet-stream": _BINARY,
    },
}

REQUEST_BODY: Final[dict[str, Any]] = {"requestBody": _BODY}
"""How the OpenAPI page describes an upload."""

REFUSALS: Final = responses(
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
"""And what can become of it."""


def service_of(request: Request) -> Service:
    """The service that `create_app` wired in.

    A plain call: FastAPI would resolve a dependency anew for each request, at ten times the cost.
    """
    return cast("Service", request.app.state.service)
