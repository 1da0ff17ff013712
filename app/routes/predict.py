"""`POST /predict`."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.disconnect import unless_gone
from app.request_id import request_id_of
from app.routes.deps import REFUSALS, REQUEST_BODY, upload_of
from app.schemas import Layers, PredictionResponse

router = APIRouter(tags=["prediction"])


@router.post(
    "/predict",
    openapi_extra=REQUEST_BODY,
    responses=REFUSALS,
    response_model_exclude_none=True,
)
async def predict(
    request: Request, explain: bool = False, layers: bool = False
) -> PredictionResponse:
    """Class probabilities of one chest X-ray. Research software, not a medical device.

    With `explain=true` the answer also carries `heatmap`, which shows where they come from. With
    `layers=true` it carries picture and heat of each class apart instead, for a page.
    """
    png = layered = None
    async with upload_of(request) as (pipeline, data):
        if layers:
            layered = await unless_gone(request, pipeline.explain_in_layers(data))
            prediction = layered.prediction
        elif explain:
            prediction, png = await unless_gone(request, pipeline.explain(data))
        else:
            prediction = await unless_gone(request, pipeline.classify(data))
    return PredictionResponse.of(
        prediction,
        pipeline.classifier,
        request_id_of(request.scope),
        png=png,
        layers=layered and Layers.of(layered),
    )
