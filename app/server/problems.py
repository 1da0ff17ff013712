"""One table: whose fault an error was -> what an HTTP client is told (RFC 9457)."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response

from app.inference.batching import QueueFull
from app.server.middleware.request_log import note, request_id_of
from app.xray import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request

    from app.inference.lifecycle import Service
    from app.runtime.metrics import Metrics

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:cxr:problem:"
RETRY_AFTER_S: Final = 5
_PROTOCOL: Final = "/v2/"


class _Row(NamedTuple):
    status: HTTPStatus
    kind: str
    title: str


TABLE: Final[dict[type[Exception], _Row]] = {
    errors.MalformedRequest: _Row(
        HTTPStatus.BAD_REQUEST, "malformed-request", "The request is malformed"
    ),
    errors.Unauthorized: _Row(HTTPStatus.UNAUTHORIZED, "unauthorized", "A key is needed"),
    errors.TooManyBytes: _Row(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many-bytes", "The upload is too large"
    ),
    errors.TooManyPixels: _Row(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many-pixels", "The picture is too large"
    ),
    errors.UnsupportedImageType: _Row(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-image-type",
        "Not an image type that is taken",
    ),
    errors.WrongModality: _Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "wrong-modality", "Not a modality that is read"
    ),
    errors.UnusableImage: _Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "unusable-image", "The image cannot be used"
    ),
    errors.NotAChestXray: _Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "not-a-chest-x-ray", "Not a chest X-ray"
    ),
    errors.ReloadFailed: _Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "reload-failed", "The new checkpoint cannot be served"
    ),
    errors.ReloadUnderWay: _Row(
        HTTPStatus.SERVICE_UNAVAILABLE, "reload-under-way", "Another reload is under way"
    ),
    errors.NotExplainable: _Row(
        HTTPStatus.NOT_IMPLEMENTED, "not-explainable", "This model cannot be explained"
    ),
    errors.NotReady: _Row(HTTPStatus.SERVICE_UNAVAILABLE, "not-ready", "The service is not ready"),
    errors.TooManyConnections: _Row(
        HTTPStatus.SERVICE_UNAVAILABLE, "too-many-connections", "Too many connections are open"
    ),
    errors.DecodingStopped: _Row(
        HTTPStatus.SERVICE_UNAVAILABLE, "decoding-stopped", "The machine could not decode it"
    ),
    errors.InferenceStopped: _Row(
        HTTPStatus.SERVICE_UNAVAILABLE, "inference-stopped", "The model is started anew"
    ),
    QueueFull: _Row(HTTPStatus.SERVICE_UNAVAILABLE, "queue-full", "Too many requests wait already"),
    errors.DeadlineExceeded: _Row(
        HTTPStatus.GATEWAY_TIMEOUT, "deadline-exceeded", "The answer took too long"
    ),
}


def add_problem_handlers(app: FastAPI, metrics: Metrics) -> None:
    """Answer every refusal of `app` as problem+json, and count it from 0 on in `metrics`."""
    metrics.set_reasons(row.kind for row in TABLE.values())

    @app.exception_handler(QueueFull)
    @app.exception_handler(errors.CxrError)
    async def _(request: Request, error: Exception) -> Response:
        return refusal(request, error)

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError) -> Response:
        detail = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        row = TABLE[errors.MalformedRequest]
        _metrics(request).count_refusal(row.kind)
        return problem(request, row.status, row.title, detail, kind=row.kind)

    @app.exception_handler(StarletteHTTPException)
    async def _(request: Request, error: StarletteHTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        return problem(request, status, status.phrase, error.detail, headers=error.headers or {})


def refusal(request: Request, error: Exception) -> Response:
    """Answer an error of the table; any other is raised again.

    An operator's error inside a request is a bug, and logged as one.
    """
    row = _count(request, error)
    headers = {}
    if row.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": str(RETRY_AFTER_S)}
    if row.status == HTTPStatus.UNAUTHORIZED:
        headers = {"WWW-Authenticate": "Bearer"}
    found = _verdict(error)
    return problem(
        request, row.status, row.title, str(error), kind=row.kind, headers=headers, **found
    )


def describe(request: Request, error: Exception) -> Problem:
    """The problem that `refusal` would answer, for one of several uploads in a request."""
    row = _count(request, error)
    return _document(request, row.status, row.title, str(error), kind=row.kind, **_verdict(error))


def _count(request: Request, error: Exception) -> _Row:
    row = TABLE.get(type(error))
    if row is None:
        raise error
    _metrics(request).count_refusal(row.kind)
    return row


def _verdict(error: Exception) -> dict[str, float]:
    if isinstance(error, errors.NotAChestXray):
        return {"score": error.score, "threshold": error.threshold}
    return {}


def _metrics(request: Request) -> Metrics:
    service: Service = request.app.state.service
    return service.metrics


def internal_error(request: Request, error: Exception) -> Response:
    """Answer a bug: the trace goes to the log under the request's id, and to nobody else."""
    _metrics(request).count_fault()
    log.error("request %s failed", request_id_of(request.scope), exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "This is a fault of the service; its operator finds it in the log by request_id."
    return problem(request, status, status.phrase, detail)


def problem(
    request: Request,
    status: HTTPStatus,
    title: str,
    detail: str,
    *,
    kind: str | None = None,
    headers: Mapping[str, str] | None = None,
    **verdict: float,
) -> Response:
    """A problem document; `kind` names its type, "about:blank" where the status says it all.

    `verdict` is the gate's score and threshold, where it is the gate that refuses. Under `/v2` it
    has the Open Inference Protocol's own form instead.
    """
    note(request.scope, problem=kind)
    if f"{request.url.path}/".startswith(_PROTOCOL):
        content = json.dumps({"error": f"{title}: {detail}"})
        return Response(content, status, dict(headers or {}), media_type="application/json")
    body = _document(request, status, title, detail, kind=kind, **verdict)
    content = body.model_dump_json(exclude_none=True)
    return Response(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def _document(
    request: Request,
    status: HTTPStatus,
    title: str,
    detail: str,
    *,
    kind: str | None,
    **verdict: float,
) -> Problem:
    return Problem(
        type=f"{TYPE_PREFIX}{kind}" if kind else "about:blank",
        title=title,
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=request_id_of(request.scope),
        **verdict,
    )


class Problem(BaseModel):
    """A refusal, as RFC 9457 has it, and the request's id."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    score: float | None = Field(
        default=None, description="Of a picture that is no chest X-ray: how far from one it is"
    )
    threshold: float | None = Field(default=None, description="Up to which score it is answered")
