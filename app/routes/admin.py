"""What only the operator may do, with the admin key."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.routes.admission import service_of
from app.routes.schemas import ReloadOutcome
from app.server.problems import responses
from app.xray import errors

router = APIRouter(prefix="/admin", tags=["operation"])


@router.post(
    "/reload",
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
