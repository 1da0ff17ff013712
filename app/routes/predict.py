"""`POST /predict`."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request

from app.problems import responses
from app.routes.deps import RequestIdDep, ServiceDep
from app.schemas import PredictionResponse
from app.uploads import FIELD, read_upload
from app.xray import errors

router = APIRouter(tags=["prediction"])

_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "One frontal chest X-ray, JPEG or PNG; its type is decided from its bytes.",
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
        errors.UnusableImage,
        errors.NotReady,
        errors.DeadlineExceeded,
    ),
)
async def predict(
    request: Request, service: ServiceDep, request_id: RequestIdDep
) -> PredictionResponse:
    """Class probabilities of one chest X-ray. Research software, not a medical device."""
    classifier = service.classifier
    async with service.deadline():
        data = await read_upload(request, service.settings.max_upload_bytes)
        prediction = await service.classify(data, classifier)
    return PredictionResponse.of(prediction, classifier, request_id)
