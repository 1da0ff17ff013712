"""`POST /v2/models/NAME/infer`, of the Open Inference Protocol."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from fastapi import APIRouter, Header, Request, Response

from app.routes.admission import body_of, slots_of
from app.routes.oip.messages import (
    HEADER,
    InferenceRequest,
    read_request,
    takes_long,
    write_response,
)
from app.routes.oip.metadata import (
    MODEL_INPUTS,
    MODEL_PATH,
    MODEL_VERSION,
    PICTURES,
    VERSION_PATH,
    model_of,
)
from app.routes.oip.openapi import ANSWER, BODY, REFUSED
from app.routes.oip.tensors import Tensor
from app.server.disconnect import unless_gone
from app.xray.errors import MalformedRequest, UnusableImage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.inference.classifier import Classifier, Prediction
    from app.inference.pipeline import Pipeline

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

MOST_PICTURES: Final = 32
"""The most pictures in one request."""
OUTPUTS: Final = ("probabilities", "label", "prediction_set", "uncertain", "warnings")
"""Prediction set and warnings are a JSON list for each picture, as `POST /predict` has them."""


@router.post(
    MODEL_PATH + "/infer",
    operation_id="infer",
    summary="Classify pictures or model inputs",
    responses=ANSWER | REFUSED,
    openapi_extra=BODY,
    response_class=Response,
)
@router.post(
    VERSION_PATH + "/infer",
    operation_id="inferVersion",
    summary="Classify pictures or model inputs by a version of the model",
    responses=ANSWER | REFUSED,
    openapi_extra=BODY,
    response_class=Response,
)
async def infer(
    request: Request,
    name: str,
    version: str = MODEL_VERSION,
    json_bytes: Annotated[str | None, Header(alias=HEADER)] = None,
) -> Response:
    """Class probabilities of up to 32 pictures, or of as many model inputs.

    Either `image`, BYTES [n], files as `POST /predict` takes them (in base64 where they stand in
    the JSON), or `input`, FP32 [n, 224, 224, 3], levels as the contract scales them. One that is
    refused has the request refused.
    """
    async with body_of(request) as (pipeline, body):
        classifier = model_of(pipeline, name, version).classifier
        asked = await _read(pipeline, body, json_bytes)
        wanted = _wanted(asked)
        items = _items(pipeline, asked)
        predictions = await unless_gone(request, _answer_all(items, slots_of(request)))
    answers = _tensors(predictions, classifier)
    description = {
        "model_name": name,
        "model_version": MODEL_VERSION,
        **({"id": asked.id} if asked.id is not None else {}),
    }
    content, headers = write_response(
        description, [(answers[output], is_raw) for output, is_raw in wanted.items()]
    )
    return Response(content, headers=headers)


async def _read(pipeline: Pipeline, body: bytes, json_bytes: str | None) -> InferenceRequest:
    if not takes_long(body, json_bytes):
        return await asyncio.to_thread(read_request, body, json_bytes)
    try:
        return await pipeline.in_process(read_request, body, json_bytes)
    except UnusableImage as error:
        raise MalformedRequest(f"The JSON cannot be read. {error}") from error


def _wanted(asked: InferenceRequest) -> dict[str, bool]:
    if unknown := [name for name in asked.outputs if name not in OUTPUTS]:
        there = ", ".join(OUTPUTS)
        raise MalformedRequest(f"No output is named {unknown[0]!r}; there are {there}.")
    return asked.outputs or dict.fromkeys(OUTPUTS, asked.is_raw)


async def _answer_all(
    items: list[Callable[[], Awaitable[Prediction]]], slots: asyncio.Semaphore
) -> list[Prediction]:
    """The answer for each item of the one input, in order; the first error ends all of them."""

    async def answer(item: Callable[[], Awaitable[Prediction]]) -> Prediction:
        async with slots:
            return await item()

    tasks = [asyncio.create_task(answer(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _items(
    pipeline: Pipeline, asked: InferenceRequest
) -> list[Callable[[], Awaitable[Prediction]]]:
    if len(asked.inputs) != 1:
        raise MalformedRequest(f"Expected one input, {PICTURES!r} or {MODEL_INPUTS!r}.")
    (tensor,) = asked.inputs
    expected = {PICTURES: "BYTES", MODEL_INPUTS: "FP32"}.get(tensor.name)
    if tensor.datatype != expected:
        raise MalformedRequest(
            f"Input {tensor.name!r} of {tensor.datatype} is none of this model's: it takes "
            f"{PICTURES!r} of BYTES, or {MODEL_INPUTS!r} of FP32."
        )
    shape = () if tensor.name == PICTURES else pipeline.classifier.contract.input_shape
    if tensor.shape[1:] != shape or len(tensor.shape) != 1 + len(shape):
        raise MalformedRequest(
            f"Input {tensor.name!r} has the shape {list(tensor.shape)}; "
            f"expected [n{''.join(f', {side}' for side in shape)}]."
        )
    if not 1 <= tensor.shape[0] <= MOST_PICTURES:
        raise MalformedRequest(f"{tensor.shape[0]} pictures; expected 1 to {MOST_PICTURES}.")
    if isinstance(tensor.data, list):
        return [partial(pipeline.classify, data) for data in tensor.data]
    if not np.isfinite(tensor.data).all():
        raise MalformedRequest(f"Input {tensor.name!r} holds numbers that are not finite.")
    return [partial(pipeline.classify_input, model_input) for model_input in tensor.data]


def _tensors(predictions: list[Prediction], classifier: Classifier) -> dict[str, Tensor]:
    count = len(predictions)
    rows = [[*prediction.probabilities.values()] for prediction in predictions]
    flags = [prediction.uncertain for prediction in predictions]
    labels = [prediction.label.encode() for prediction in predictions]
    sets = [json.dumps(prediction.prediction_set).encode() for prediction in predictions]
    warnings = [json.dumps(prediction.warnings).encode() for prediction in predictions]
    shape = (count, len(classifier.contract.classes))
    tensors = [
        Tensor("probabilities", "FP32", shape, np.array(rows, np.float32)),
        Tensor("label", "BYTES", (count,), labels),
        Tensor("prediction_set", "BYTES", (count,), sets),
        Tensor("uncertain", "BOOL", (count,), np.array(flags)),
        Tensor("warnings", "BYTES", (count,), warnings),
    ]
    return {tensor.name: tensor for tensor in tensors}
