"""What orchestrators and operators ask: health, which model is served, and to serve another."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from app.routes.admission import service_of
from app.routes.openapi_problems import responses
from app.routes.schemas import Health, Liveness, ModelDescription, ReloadOutcome
from app.settings import VERSION
from app.xray import errors

router = APIRouter(tags=["operation"])
admin_router = APIRouter(prefix="/admin", tags=["operation"])
"""What only the operator may do, with the admin key."""

_UNAVAILABLE: Final[dict[int | str, dict[str, Any]]] = {
    503: {"model": Health, "description": "Loading, draining or failed"}
}


@router.get(
    "/health",
    operation_id="getHealth",
    summary="State, model and engine",
    responses=_UNAVAILABLE,
)
@router.get(
    "/health/ready",
    operation_id="getReadiness",
    summary="Whether requests should be sent here",
    responses=_UNAVAILABLE,
)
async def health(request: Request, response: Response) -> Health:
    """200 once the model is warm, 503 while it is loading, after it failed, while draining."""
    service = service_of(request)
    if service.status != "ready":
        response.status_code = 503
    return Health.of(service, VERSION)


@router.get(
    "/health/live",
    operation_id="getLiveness",
    summary="Whether the process can still be helped",
    responses={503: {"model": Liveness, "description": "Beyond help"}},
)
async def live(request: Request, response: Response) -> Liveness:
    """200 as long as the process answers, whether it has a model or not.

    503 only where a model that broke could not be started anew: another process may do it.
    """
    if service_of(request).is_alive:
        return Liveness()
    response.status_code = 503
    return Liveness(status="dead")


@router.get(
    "/model",
    operation_id="getModel",
    summary="The served checkpoint's contract and engine",
    responses=responses(errors.Unauthorized, errors.NotReady),
)
async def model(request: Request) -> ModelDescription:
    """The served checkpoint's contract: classes, preprocessing, data, metrics, digest."""
    return ModelDescription.of_classifier(service_of(request).pipeline.classifier)


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **responses(errors.Unauthorized),
    },
)
async def metrics(request: Request) -> Response:
    """What Prometheus asks: counts, durations, and how sure the model was; nothing of a patient."""
    text, media_type = service_of(request).metrics.expose(request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": media_type})


@admin_router.post(
    "/reload",
    operation_id="reloadModel",
    summary="Serve the checkpoint that lies at CXR_MODEL_PATH now",
    responses=responses(
        errors.Unauthorized, errors.NotReady, errors.ReloadUnderWay, errors.ReloadFailed
    ),
)
async def reload(request: Request) -> ReloadOutcome:
    """Serve the checkpoint that stands at `CXR_MODEL_PATH` now, without a restart.

    It is loaded, warmed up and tried beside the present one, which answers until then, and goes on
    where the new one cannot be served or has other classes.
    """
    return ReloadOutcome.of(await service_of(request).reload())
