"""How the OpenAPI page describes requests and refusals of the Open Inference Protocol."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel

from app.routes.openapi_problems import REFUSALS, RETRY_AFTER


class ProtocolError(BaseModel):
    """A refusal, as the Open Inference Protocol has it."""

    error: str


def _refusal(status: int, words: str) -> dict[str, Any]:
    headers = {"headers": RETRY_AFTER} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return {"description": words, "model": ProtocolError, **headers}


NOT_THERE: Final[dict[int | str, dict[str, Any]]] = {
    status: _refusal(status, words)
    for status, words in {401: "A key is needed", 404: "No such model", 503: "Not ready"}.items()
}
"""Replies of a route that names a model, by status."""
REFUSED: Final[dict[int | str, dict[str, Any]]] = NOT_THERE | {
    status: _refusal(int(status), refusal["description"])
    for status, refusal in REFUSALS.items()
    if status != HTTPStatus.NOT_IMPLEMENTED  # nothing is explained here
}
"""Replies of a route that takes an inference request, by status."""
_BINARY: Final = {
    "type": "string",
    "format": "binary",
    "contentMediaType": "application/octet-stream",
}
ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The outputs, in JSON, or raw behind the JSON",
        "content": {
            "application/json": {"schema": {"type": "object", "required": ["outputs"]}},
            "application/octet-stream": {"schema": _BINARY},
        },
    }
}
"""The reply to an inference request that is not refused."""
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object", "required": ["inputs"]}},
            "application/octet-stream": {"schema": _BINARY},
        },
    }
}
"""An inference request: JSON, or JSON with binary tensors behind it."""
