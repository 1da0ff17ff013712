"""`GET /v2...`: what the Open Inference Protocol tells of the server and its model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, HTTPException, Request, Response

from app.routes.admission import service_of
from app.routes.oip.openapi import NOT_THERE
from app.settings import VERSION
from app.xray.errors import NotReady

if TYPE_CHECKING:
    from app.inference.pipeline import Pipeline

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

PICTURES: Final = "image"
MODEL_INPUTS: Final = "input"
MODEL_VERSION: Final = "1"
MODEL_PATH: Final = "/models/{name}"
VERSION_PATH: Final = MODEL_PATH + "/versions/{version}"


@router.get(
    "",
    operation_id="getServerMetadata",
    summary="Name, version and extensions",
    responses={401: NOT_THERE[401]},
)
async def server() -> dict[str, Any]:
    """Name, version and extensions of the server."""
    return {
        "name": "cxr-inference",
        "version": VERSION,
        "extensions": ["binary_tensor_data"],
    }


@router.get(
    "/health/live",
    operation_id="getServerLive",
    summary="Whether the server is alive",
    responses={503: {"description": "Beyond help"}},
)
async def live(request: Request, response: Response) -> dict[str, bool]:
    """Whether the server is alive, as `/health/live` says."""
    is_alive = service_of(request).is_alive
    response.status_code = 200 if is_alive else 503
    return {"live": is_alive}


@router.get(
    "/health/ready",
    operation_id="getServerReady",
    summary="Whether the server is ready",
    responses={503: {"description": "Not ready"}},
)
async def ready(request: Request, response: Response) -> dict[str, bool]:
    """Whether the server is ready, as `/health/ready` says."""
    is_ready = service_of(request).status == "ready"
    response.status_code = 200 if is_ready else 503
    return {"ready": is_ready}


@router.get(
    MODEL_PATH,
    operation_id="getModelMetadata",
    summary="Inputs and outputs of the model",
    responses=NOT_THERE,
)
@router.get(
    VERSION_PATH,
    operation_id="getModelVersionMetadata",
    summary="Inputs and outputs of a version of the model",
    responses=NOT_THERE,
)
async def metadata(request: Request, name: str, version: str = MODEL_VERSION) -> dict[str, Any]:
    """What the model takes, one of two inputs, and what it gives."""
    classifier = model_of(service_of(request).pipeline, name, version).classifier
    shape, classes = classifier.contract.input_shape, classifier.contract.classes
    return {
        "name": name,
        "versions": [MODEL_VERSION],
        "platform": "keras_h5",
        "inputs": [
            {"name": PICTURES, "datatype": "BYTES", "shape": [-1]},
            {"name": MODEL_INPUTS, "datatype": "FP32", "shape": [-1, *shape]},
        ],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(classes)]},
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "prediction_set", "datatype": "BYTES", "shape": [-1]},
            {"name": "uncertain", "datatype": "BOOL", "shape": [-1]},
            {"name": "warnings", "datatype": "BYTES", "shape": [-1]},
        ],
    }


@router.get(
    MODEL_PATH + "/ready",
    operation_id="getModelReady",
    summary="Whether the model is ready",
    responses=NOT_THERE,
)
@router.get(
    VERSION_PATH + "/ready",
    operation_id="getModelVersionReady",
    summary="Whether a version of the model is ready",
    responses=NOT_THERE,
)
async def model_ready(request: Request, name: str, version: str = MODEL_VERSION) -> dict[str, Any]:
    """Whether this model can be asked."""
    service = service_of(request)
    model_of(service.pipeline, name, version)
    if service.status != "ready":
        raise NotReady(f"The service is {service.status}.")
    return {"name": name, "ready": True}


def model_of(pipeline: Pipeline, name: str, version: str) -> Pipeline:
    """The same pipeline, where it has the model that is asked for.

    Raises:
        HTTPException: 404, there is no such model or version.
    """
    served = pipeline.classifier.checkpoint.name
    if name != served or version != MODEL_VERSION:
        raise HTTPException(404, f"No such model; there is {served!r}, version {MODEL_VERSION}.")
    return pipeline
