"""`POST /explain`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from app.routes.admission import upload_of
from app.routes.openapi import REFUSALS, REQUEST_BODY
from app.server.disconnect import unless_gone

if TYPE_CHECKING:
    from app.inference.classifier import Prediction

router = APIRouter(tags=["prediction"])

HEADER: Final = "X-CXR-Prediction"


@router.post(
    "/explain",
    openapi_extra=REQUEST_BODY,
    responses={200: {"content": {"image/png": {}}}, **REFUSALS},
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
