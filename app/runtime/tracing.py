"""Traces by OpenTelemetry, where `CXR_TRACES` asks for them; else nothing of it is imported.

Where they are sent, as whom and how many of them is what OpenTelemetry's own variables say
(`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and their like).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from app.xray.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

_NAME: Final = "cxr-inference"
_FAREWELL_S: Final = 2.0


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


def _resource(version: str) -> Resource:
    """The resource that the spans are of; OpenTelemetry's variables go first."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    ours = Resource.create({"service.name": _NAME, "service.version": version})
    return ours.merge(OTELResourceDetector().detect())


def _sender() -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())
