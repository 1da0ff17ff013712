"""A span for each request, where traces are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from app.server.middleware.access import WATCHED
from app.server.middleware.request_log import (
    DRAWN_KEY,
    NO_METHOD,
    NO_ROUTE,
    request_id_of,
    request_labels,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.runtime.tracing import Tracing


_SERVER_FAULT: Final = 500


_OTHER_METHOD: Final = "_OTHER"
"""The name that OpenTelemetry's HTTP conventions have for a method that they do not know."""


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
