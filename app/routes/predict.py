"""`POST /predict`."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request

from app.batching import QueueFull
from app.disconnect import unless_gone
from app.problems import responses
from app.request_id import request_id_of
from app.routes.deps import service_of
from app.schemas import PredictionResponse
from app.uploads import FIELD, read_upload
from app.xray import errors

router = APIRouter(tags=["prediction"])

_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_REQUEST_BODY: Final[dict[str, Any]] = {
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


@router.post(
    "/predict",
    openapi_extra={"requestBody": _REQUEST_BODY},
    responses=responses(
        errors.MalformedRequest,
        errors.TooManyBytes,
        errors.TooManyPixels,
        errors.UnsupportedImageType,
        errors.WrongModality,
        errors.UnusableImage,
        errors.NotReady,
        QueueFull,
        errors.DeadlineExceeded,
    ),
)
async def predict(request: Request) -> PredictionResponse:
    """Class probabilities of one chest X-ray. Research software, not a medical device."""
    service = service_of(request)
    pipeline = service.pipeline
    async with service.deadline():
        data = await read_upload(request, service.settings.max_upload_bytes)
        prediction = await unless_gone(request, pipeline.classify(data))
    return PredictionResponse.of(prediction, pipeline.classifier, request_id_of(request.scope))
