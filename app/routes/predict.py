"""`POST /predict`, and the same for several pictures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from app.inference.batching import QueueFull
from app.routes.admission import slots_of, upload_of, uploads_of
from app.routes.openapi import BATCH_BODY, REQUEST_BODY
from app.routes.openapi_problems import BATCH_REFUSALS, REFUSALS
from app.routes.schemas import BatchResponse, Layers, PredictionResponse
from app.server.disconnect import unless_gone
from app.server.middleware.request_log import request_id_of
from app.server.problems import Problem, describe
from app.xray.errors import SenderError, TemporaryError

if TYPE_CHECKING:
    from app.inference.pipeline import Pipeline

router = APIRouter(tags=["prediction"])


@router.post(
    "/predict",
    operation_id="predict",
    summary="Classify a chest X-ray",
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


@router.post(
    "/predict/batch",
    operation_id="predictBatch",
    summary="Classify several chest X-rays",
    openapi_extra=BATCH_BODY,
    responses=BATCH_REFUSALS,
    response_model_exclude_none=True,
)
async def predict_batch(request: Request) -> BatchResponse:
    """The answers that `POST /predict` would give to each of several files, in order.

    A file that is refused has a problem in its place, and spoils no other.
    """
    async with uploads_of(request) as (pipeline, uploads):
        results = await unless_gone(request, _answer_each(request, pipeline, uploads))
    return BatchResponse(results=results, request_id=request_id_of(request.scope))


async def _answer_each(
    request: Request, pipeline: Pipeline, uploads: list[bytes | SenderError]
) -> list[PredictionResponse | Problem]:
    slots = slots_of(request)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_answer(request, pipeline, upload, slots)) for upload in uploads]
    return [task.result() for task in tasks]


async def _answer(
    request: Request, pipeline: Pipeline, upload: bytes | SenderError, slots: asyncio.Semaphore
) -> PredictionResponse | Problem:
    try:
        if isinstance(upload, SenderError):
            raise upload
        async with slots:
            prediction = await pipeline.classify(upload)
    except (SenderError, TemporaryError, QueueFull) as error:
        return describe(request, error)
    return PredictionResponse.of(prediction, pipeline.classifier, request_id_of(request.scope))
