"""`POST /explain`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from app.routes.admission import upload_of
from app.routes.openapi import REQUEST_BODY
from app.routes.openapi_problems import REFUSALS
from app.server.disconnect import unless_gone

if TYPE_CHECKING:
    from app.inference.classifier import Prediction

router = APIRouter(tags=["prediction"])

HEADER: Final = "X-CXR-Prediction"
_PICTURE: Final[dict[str, Any]] = {
    "description": "The X-ray with a heat map",
    # Generators of clients know that octets are a file, and not that a PNG is one.
    "content": {
        media_type: {"schema": {"type": "string", "format": "binary"}}
        for media_type in ("image/png", "application/octet-stream")
    },
    "headers": {
        HEADER: {
            "description": "Label, confidence, uncertain and warnings, as JSON",
            "schema": {"type": "string"},
        }
    },
}


@router.post(
    "/explain",
    operation_id="explain",
    summary="Show where a prediction comes from",
    openapi_extra=REQUEST_BODY,
    responses={200: _PICTURE, **REFUSALS},
    response_class=Response,
)
async def explain(
    request: Request, name: Annotated[str | None, Query(alias="class")] = None
) -> Response:
    """The X-ray with what speaks for a class marked on it (Grad-CAM), and a legend, as PNG.

    `class` names the class; without it, that which the model finds likeliest. The header
    `X-CXR-Prediction` has label, confidence, uncertain and warnings, as JSON.
    """
    async with upload_of(request) as (pipeline, data):
        explanation = await unless_gone(request, pipeline.explain(data, name))
    return Response(
        explanation.png,
        media_type="image/png",
        headers={HEADER: _in_ascii(explanation.prediction)},
    )


def _in_ascii(prediction: Prediction) -> str:
    return json.dumps(
        {
            "label": prediction.label,
            "confidence": prediction.confidence,
            "prediction_set": prediction.prediction_set,
            "uncertain": prediction.uncertain,
            "warnings": prediction.warnings,
        }
    )
