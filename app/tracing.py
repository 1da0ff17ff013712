"""Traces by OpenTelemetry, where `CXR_TRACES` asks for them; else nothing of it is imported.

Where they are sent, as whom and how many of them is what OpenTelemetry's own variables say
(`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and their like).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from app.access import WATCHED
from app.request_id import DRAWN_KEY, NO_METHOD, NO_ROUTE, request_id_of, request_labels
from app.xray.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NAME: Final = "cxr-inference"
_SERVER_FAULT: Final = 500
_FAREWELL_S: Final = 2.0
_OTHER_METHOD: Final = "_OTHER"
"""As OpenTelemetry's conventions for HTTP call a method that they do not know."""


class Tracing:
    """A span for each request, and one within it for each stage of its upload.

    Of a request it has method, route, status and id, nothing else that its sender wrote.
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
        # Whoever else uses it in this process has it quote what it cannot read in a `tracestate`.
        logging.getLogger("opentelemetry.trace").setLevel(logging.CRITICAL)
        self._provider: TracerProvider = TracerProvider(
            resource=_resource(version), shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor or _sender())
        self.tracer = self._provider.get_tracer(_NAME, version)

    def add_stage(self, name: str, seconds: float, ended_ago_s: float) -> None:
        """A span within the present request's that took `seconds` and ended a while ago."""
        end = time.time_ns() - round(ended_ago_s * 1e9)
        self.tracer.start_span(name, start_time=end - round(seconds * 1e9)).end(end)

    def close(self) -> None:
        """Give what was not yet sent `_FAREWELL_S`: a dead collector is tried for longer."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(_FAREWELL_S)


class TracingMiddleware:
    """Opens the span of each request but what is `WATCHED`, in the trace of its `traceparent`.

    The id of that trace is the request's where its sender gave it none. Nothing is taken of a
    `tracestate`.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracer = tracing.tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in WATCHED:
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # Without its `tracestate`, words of its sender's that every span would carry.
        given = Headers(scope=scope).get("traceparent", "")
        parent = TraceContextTextMapPropagator().extract({"traceparent": given})
        with self._tracer.start_as_current_span(
            "HTTP",
            parent,
            SpanKind.SERVER,
            record_exception=False,  # its words may be the client's
            set_status_on_exception=False,
        ) as span:
            context = span.get_span_context()
            if context.is_valid:  # not so where OTEL_SDK_DISABLED has the spans be none
                scope[DRAWN_KEY] = f"{context.trace_id:032x}"

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
                _describe(span, scope)


def _describe(span: Span, scope: Scope) -> None:
    """Name the span after OpenTelemetry's conventions for HTTP servers."""
    method, route = request_labels(scope)
    known = method != NO_METHOD
    attributes = {
        "http.request.method": method if known else _OTHER_METHOD,
        "cxr.request_id": request_id_of(scope),
    }
    name = method if known else "HTTP"
    if route != NO_ROUTE:
        attributes["http.route"] = route
        name = f"{name} {route}"
    span.update_name(name)
    span.set_attributes(attributes)


def _resource(version: str) -> Resource:
    """What the spans are of: OpenTelemetry's variables go first."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    ours = Resource.create({"service.name": _NAME, "service.version": version})
    return ours.merge(OTELResourceDetector().detect())


def _sender() -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())
