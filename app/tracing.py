"""Traces by OpenTelemetry, where `CXR_TRACES` asks for them; else nothing of it is imported.

Where they are sent, as whom and how many of them is what OpenTelemetry's own variables say
(`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and their like).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from app.request_id import request_labels
from app.xray.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NAME: Final = "cxr-inference"
_SERVER_FAULT: Final = 500


class Tracing:
    """A span for each request, and one within it for each stage of its upload.

    Of a request it has method, route and status, nothing that its sender wrote.
    """

    def __init__(self, version: str, processor: SpanProcessor | None = None) -> None:
        """`processor` takes the spans; else they are sent by OTLP over HTTP, in the background.

        Raises SettingsError where OpenTelemetry is not installed.
        """
        try:
            from opentelemetry.sdk.trace import TracerProvider
        except ImportError as error:
            raise SettingsError(
                "CXR_TRACES=true: OpenTelemetry is not installed; requirements/traces.txt has it"
            ) from error
        self._provider: TracerProvider = TracerProvider(resource=_resource(version))
        self._provider.add_span_processor(processor or _sender())
        self.tracer = self._provider.get_tracer(_NAME, version)

    def add_stage(self, name: str, seconds: float, ended_ago_s: float) -> None:
        """A span within the present request's that took `seconds` and ended a while ago."""
        end = time.time_ns() - round(ended_ago_s * 1e9)
        self.tracer.start_span(name, start_time=end - round(seconds * 1e9)).end(end)

    def close(self) -> None:
        """Send what was not yet sent."""
        self._provider.shutdown()


class TracingMiddleware:
    """Opens the span of each request, within the trace that its `traceparent` names."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracer = tracing.tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(dict(Headers(scope=scope)))
        with self._tracer.start_as_current_span(
            "HTTP",
            parent,
            SpanKind.SERVER,
            record_exception=False,  # its words may be the client's
            set_status_on_exception=False,
        ) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= _SERVER_FAULT:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            try:
                await self._app(scope, receive, send_and_note)
            finally:
                method, route = request_labels(scope)
                span.update_name(f"{method} {route}")
                span.set_attributes({"http.request.method": method, "http.route": route})


def _resource(version: str) -> Resource:
    from opentelemetry.sdk.resources import Resource

    return Resource.create({"service.name": _NAME, "service.version": version})


def _sender() -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())
