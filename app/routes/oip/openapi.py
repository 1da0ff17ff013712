"""How the OpenAPI page describes requests and refusals of the Open Inference Protocol."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from app.routes.openapi import REFUSALS

_ERROR: Final = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}},
            }
        }
    }
}
NOT_THERE: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": words, **_ERROR}
    for status, words in {401: "A key is needed", 404: "No such model", 503: "Not ready"}.items()
}
"""Replies of a route that names a model, by status."""
REFUSED: Final[dict[int | str, dict[str, Any]]] = NOT_THERE | {
    status: {"description": refusal["description"], **_ERROR}
    for status, refusal in REFUSALS.items()
    if status != HTTPStatus.NOT_IMPLEMENTED  # nothing is explained here
}
"""Replies of a route that takes an inference request, by status."""
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object", "required": ["inputs"]}},
            "application/octet-stream": {
                "schema": {"type": "string", "contentMediaType": "application/octet-stream"}
            },
        },
    }
}
"""An inference request: JSON, or JSON with binary tensors behind it."""
