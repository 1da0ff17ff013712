"""How the OpenAPI page describes refusals: by the one schema, with an example of each."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from app.inference.batching import QueueFull
from app.server.problems import MEDIA_TYPE, RETRY_AFTER_S, TABLE, TYPE_PREFIX, Problem
from app.xray import errors

_EXAMPLES: Final[dict[type[Exception], dict[str, Any]]] = {
    errors.MalformedRequest: {"detail": "No part of the form is named 'file'."},
    errors.Unauthorized: {
        "detail": "Send a key as `Authorization: Bearer KEY` or as `X-API-Key: KEY`."
    },
    errors.TooManyBytes: {"detail": "The upload is larger than 101 MB."},
    errors.TooManyPixels: {"detail": "12000 x 9000 pixels; up to 50000000 are decoded."},
    errors.UnsupportedImageType: {
        "detail": "The first bytes are those of no JPEG, PNG or DICOM file."
    },
    errors.WrongModality: {
        "detail": "The DICOM file's modality is CT; projection X-rays are read."
    },
    errors.UnusableImage: {"detail": "The image is truncated or corrupt."},
    errors.NotAChestXray: {
        "detail": str(errors.NotAChestXray(2.5, 1.25)),
        "score": 2.5,
        "threshold": 1.25,
    },
    errors.ReloadFailed: {
        "detail": "The old checkpoint is served on: models/best_model.h5: no such file"
    },
    errors.ReloadUnderWay: {"detail": "Another checkpoint is being loaded; try again shortly."},
    errors.NotExplainable: {"detail": "Its layers do not let its heat map be computed."},
    errors.NotReady: {"detail": "The service is loading; try again shortly."},
    errors.TooManyConnections: {"detail": "Too many connections are open; try again shortly."},
    errors.DecodingStopped: {"detail": "The machine ended what decoded it; try again shortly."},
    errors.InferenceStopped: {"detail": "The model does not answer and is started anew."},
    QueueFull: {"detail": "128 requests are waiting; try again shortly."},
    errors.DeadlineExceeded: {"detail": "No answer within 30 s; try again."},
}

RETRY_AFTER: Final[dict[str, Any]] = {
    "Retry-After": {
        "description": "Seconds after which another try is worth it",
        "schema": {"type": "integer", "examples": [RETRY_AFTER_S]},
    }
}
"""The header of every 503."""


def responses(*kinds: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """The replies, by status, of a route that refuses by errors of `kinds`."""
    described: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status, name, title = TABLE[kind]
        reply = described.setdefault(
            status.value,
            {
                "description": "",
                "content": {
                    MEDIA_TYPE: {
                        "schema": {"$ref": f"#/components/schemas/{Problem.__name__}"},
                        "examples": {},
                    }
                },
            },
        )
        reply["description"] = "; ".join(filter(None, [reply["description"], title]))
        reply["content"][MEDIA_TYPE]["examples"][name] = {"summary": title, "value": _example(kind)}
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            reply["headers"] = RETRY_AFTER
    return described


def _example(kind: type[Exception]) -> dict[str, Any]:
    status, name, title = TABLE[kind]
    return Problem(
        type=TYPE_PREFIX + name,
        title=title,
        status=status,
        instance="/admin/reload" if "reload" in name else "/predict",
        request_id="68d3d94974b2487dad032a4a67e0324b",
        **_EXAMPLES[kind],
    ).model_dump(exclude_none=True)


REFUSALS: Final = responses(
    errors.MalformedRequest,
    errors.Unauthorized,
    errors.TooManyBytes,
    errors.TooManyPixels,
    errors.UnsupportedImageType,
    errors.WrongModality,
    errors.UnusableImage,
    errors.NotAChestXray,
    errors.NotExplainable,
    errors.NotReady,
    QueueFull,
    errors.TooManyConnections,
    errors.DecodingStopped,
    errors.InferenceStopped,
    errors.DeadlineExceeded,
)
"""Refusals of a request with one upload."""


BATCH_REFUSALS: Final = responses(
    errors.MalformedRequest,
    errors.Unauthorized,
    errors.TooManyBytes,
    errors.UnsupportedImageType,
    errors.NotReady,
    QueueFull,
    errors.TooManyConnections,
    errors.DeadlineExceeded,
)
"""Refusals of a request with several uploads as a whole."""
