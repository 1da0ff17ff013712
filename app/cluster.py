"""`serve run app.cluster:application`: the very service, in replicas on Ray Serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from starlette.datastructures import Headers, MutableHeaders

from app.main import create_app
from app.runtime.children import give_memory_back, leave_no_core
from app.runtime.devices import share_of_machine
from app.runtime.logs import set_up_logs
from app.server.middleware.request_log import HEADER
from app.server.problems import RETRY_AFTER_S
from app.settings import Settings, read_settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.inference.lifecycle import Service

_HEALTH_PERIOD_S = 5.0
"""A replica that is gone is noticed by then; one that is not ready ends after three of them."""
_FAREWELL_S = 5.0
"""The time for threads and processes to end, beyond that of the longest request."""


class Scale(BaseModel):
    """How many replicas there may be, and what each is given; `serve run`'s arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_replicas: Annotated[int, Field(ge=1)] = 1
    max_replicas: Annotated[int, Field(ge=1)] = 4
    requests_per_replica: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 8
    """Requests in flight, on average; beyond that replicas are added, up to `max_replicas`."""
    grow_after_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30
    """So long there have to be too many requests before replicas are added."""
    shrink_after_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 600
    """So long there have to be too few before one is let go, which ends what it has begun."""
    cpus: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1
    """CPUs for each replica; its model runs in as many threads."""
    gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    """GPUs for each replica; a part of one shares it, and without any none is seen."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas must not be above max_replicas")
        return self


class Replica:
    """One process with its own application, checkpoint and engine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._service: Service | None = None

    def __serve_build_asgi_app__(self) -> FastAPI:  # Ray's name for it
        """The application, made where it runs."""
        leave_no_core()
        give_memory_back()
        set_up_logs(self._settings.log_level, as_json=self._settings.log_json)
        app = create_app(self._settings)
        app.add_middleware(_OneRequestId)
        self._service = app.state.service
        return app

    async def check_health(self) -> None:
        """Raise where the service is not ready, the first time once its model is loaded.

        Ray sends a new replica nothing before that, and starts one anew that goes on raising.
        """
        service = self._service
        assert service is not None  # noqa: S101  # Ray builds the application first
        await service.wait_until_loaded()
        _ = service.pipeline


class _OneRequestId:
    """Leaves the id of a request to Ray's proxy, which sends and returns the one it gave us."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get(HEADER) == Headers(scope=scope).get(HEADER):
                    del headers[HEADER]
            await send(message)

        await self._app(scope, receive, send_without_id)


def application(arguments: dict[str, Any]) -> Application:
    """The service as Ray Serve runs it, scaled as `arguments` say, which are those of `Scale`.

    CXR_ settings are those of the environment in which this is called, for all replicas.

    A replica's own queue is what refuses, in the service's own words; Ray's limits lie beyond it.

    Raises:
        SettingsError: as `read_settings`.
        ValidationError: of `Scale`.
    """
    scale, settings = Scale.model_validate(arguments), read_settings()
    # What is relative here is not so where a replica works.
    settings = settings.model_copy(update={"model_path": settings.model_path.resolve()})
    deployment = serve.deployment(
        serve.ingress()(Replica),
        name="cxr-inference",
        ray_actor_options={
            "num_cpus": scale.cpus,
            "num_gpus": scale.gpus,
            "runtime_env": {"env_vars": share_of_machine(scale.cpus, scale.gpus)},
        },
        max_ongoing_requests=settings.max_connections,
        max_queued_requests=settings.max_connections,
        backpressure_config=BackpressureConfig(retry_after_s=RETRY_AFTER_S),
        autoscaling_config=AutoscalingConfig(
            min_replicas=scale.min_replicas,
            max_replicas=scale.max_replicas,
            target_ongoing_requests=scale.requests_per_replica,
            upscale_delay_s=scale.grow_after_s,
            downscale_delay_s=scale.shrink_after_s,
        ),
        health_check_period_s=_HEALTH_PERIOD_S,
        graceful_shutdown_timeout_s=settings.request_timeout_s + _FAREWELL_S,
        logging_config={"enable_access_log": False},  # the service has its own
    )
    return deployment.bind(settings)
