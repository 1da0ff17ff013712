"""What orchestrators and Prometheus ask the node: `/health` and `/metrics`, over HTTP."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

import uvicorn
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.pacs.status import OUTCOMES
from app.runtime.metrics import expose

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from starlette.requests import Request

State = Literal["ready", "draining"]

_ASSOCIATIONS = ("accepted", "rejected", "aborted", "too-large")


class Watch:
    """Counts films and associations, and says whether the node takes any."""

    def __init__(self, *, version: str, is_service_ready: Callable[[], bool]) -> None:
        self.state: State = "ready"
        self._version = version
        self._is_service_ready = is_service_ready
        self._registry = registry = CollectorRegistry()
        self._films = Counter(
            "cxr_pacs_films", "Films by what became of them", ("outcome",), registry=registry
        )
        self._seconds = Histogram(
            "cxr_pacs_film_seconds",
            "From a film's last byte to the status that its sender gets",
            buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120),
            registry=registry,
        )
        self._associations = Counter(
            "cxr_pacs_associations", "Associations by outcome", ("outcome",), registry=registry
        )
        self._ready = Gauge("cxr_pacs_ready", "1 where the node takes films", registry=registry)
        self._ready.set_function(lambda: self.state == "ready")
        for outcome in OUTCOMES:
            self._films.labels(outcome.name)
        for ending in _ASSOCIATIONS:
            self._associations.labels(ending)

    def count_film(self, outcome: str, seconds: float) -> None:
        """One film that its sender was answered for."""
        self._films.labels(outcome).inc()
        self._seconds.observe(seconds)

    def count_association(self, outcome: str) -> None:
        """One association that was accepted, rejected, aborted or cut off."""
        self._associations.labels(outcome).inc()

    def application(self) -> Starlette:
        """The routes `/health`, `/health/live`, `/health/ready` and `/metrics`."""
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/health/ready", self._health),
                Route("/health/live", self._live),
                Route("/metrics", self._metrics),
            ]
        )

    def serve(self, listener: socket.socket) -> Callable[[], None]:
        """Answer on `listener` in a thread; gives what ends it."""
        config = uvicorn.Config(
            self.application(),
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=64,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        server.capture_signals = _no_signals  # type: ignore[method-assign, assignment]  # main's business
        thread = threading.Thread(target=server.run, args=([listener],), name="watch", daemon=True)
        thread.start()

        def end() -> None:
            server.should_exit = True
            thread.join(5)

        return end

    def _health(self, request: Request) -> Response:  # noqa: ARG002
        body = {
            "status": self.state,
            "version": self._version,
            "service": "ready" if self._is_service_ready() else "away",
        }
        return JSONResponse(body, 200 if self.state == "ready" else 503)

    def _live(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"status": "alive"})

    def _metrics(self, request: Request) -> Response:
        text, media_type = expose(self._registry, request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": media_type})


class _no_signals:  # noqa: N801  # it stands in for a method
    """A context that leaves the process' signal handlers as they are."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...
