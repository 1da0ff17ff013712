from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app import main
from app.runtime.tracing import Tracing
from app.settings import read_settings
from app.xray.errors import SettingsError
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph
from tests.app.fakes import FakeEngine, client_of, fake_app, fake_classifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

pytestmark = pytest.mark.anyio

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Takes what else would be sent."""
    found = InMemorySpanExporter()
    monkeypatch.setattr(
        main, "Tracing", lambda version: Tracing(version, SimpleSpanProcessor(found))
    )
    return found


def request_span(spans: Sequence[ReadableSpan]) -> ReadableSpan:
    (found,) = (span for span in spans if span.kind is SpanKind.SERVER)
    return found


async def test_a_request_is_a_span_with_its_method_route_and_status(
    exporter: InMemorySpanExporter, png: bytes
) -> None:
    async with client_of(fake_app(traces=True)) as client:
        exporter.clear()
        response = await client.post(
            "/predict?patient=Doe", content=png, headers={"User-Agent": "Doe"}
        )
        spans = exporter.get_finished_spans()
    span = request_span(spans)
    assert span.name == "POST /predict"
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "cxr.request_id": response.headers["X-Request-ID"],
    }
    assert span.context is not None
    assert response.headers["X-Request-ID"] == f"{span.context.trace_id:032x}"
    assert span.status.status_code is StatusCode.UNSET


async def test_each_stage_is_a_span_within_its_request_in_the_order_they_ran(
    exporter: InMemorySpanExporter,
) -> None:
    dicom = write_dicom(np.asarray(draw_radiograph()))
    async with client_of(fake_app(traces=True)) as client:
        exporter.clear()
        await client.post("/explain", content=dicom)
        spans = exporter.get_finished_spans()
    whole = request_span(spans)
    stages = sorted((s for s in spans if s is not whole), key=lambda span: span.start_time or 0)
    assert [span.name for span in stages] == ["decode", "queue", "inference", "explain"]
    for span in stages:
        assert span.parent is not None
        assert span.context is not None
        assert whole.context is not None
        assert span.parent.span_id == whole.context.span_id
        assert span.context.trace_id == whole.context.trace_id
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time


async def test_pictures_of_one_batch_each_have_their_stages(
    exporter: InMemorySpanExporter, png: bytes
) -> None:
    async with client_of(fake_app(traces=True)) as client:
        exporter.clear()
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(lambda: client.post("/predict", content=png))
        spans = exporter.get_finished_spans()
    of_trace: dict[int, list[str]] = {}
    for span in spans:
        assert span.context is not None
        of_trace.setdefault(span.context.trace_id, []).append(span.name)
    assert len(of_trace) == 5
    for names in of_trace.values():
        assert sorted(names) == ["POST /predict", "decode", "inference", "queue"]


async def test_a_request_goes_on_with_the_trace_of_its_sender(
    exporter: InMemorySpanExporter,
) -> None:
    async with client_of(fake_app(traces=True)) as client:
        exporter.clear()
        response = await client.get(
            "/model", headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=b"}
        )
        span = request_span(exporter.get_finished_spans())
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert response.headers["X-Request-ID"] == TRACE


async def test_a_trace_its_sender_does_not_sample_is_not_sent(
    exporter: InMemorySpanExporter, png: bytes
) -> None:
    async with client_of(fake_app(traces=True)) as client:
        exporter.clear()
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
        response = await client.post("/predict", content=png, headers=headers)
        assert not exporter.get_finished_spans()
    assert response.status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "00", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", "é" * 99, "00-" + "x" * 52],
    ids=["empty", "short", "no trace", "unknown version", "no letters", "no figures"],
)
async def test_a_broken_traceparent_begins_a_trace_of_its_own(
    header: str, exporter: InMemorySpanExporter
) -> None:
    async with client_of(fake_app(traces=True)) as client:
        exporter.clear()
        response = await client.get("/model", headers=[(b"traceparent", header.encode())])
        span = request_span(exporter.get_finished_spans())
    assert response.status_code == 200
    assert span.parent is None


async def test_a_refusal_is_no_error_of_ours(exporter: InMemorySpanExporter) -> None:
    async with client_of(fake_app(traces=True)) as client:
        exporter.clear()
        await client.post("/predict", content=b"hello")
        await client.get("/patients/Doe")
        spans = exporter.get_finished_spans()
    found = {span.name: span for span in spans}
    assert set(found) == {"POST /predict", "GET"}
    assert "http.route" not in (found["GET"].attributes or {})
    assert (found["POST /predict"].attributes or {})["http.response.status_code"] == 415
    assert all(span.status.status_code is StatusCode.UNSET for span in spans)
    assert not any("Doe" in span.to_json() for span in spans)


async def test_a_bug_is_an_error_and_its_words_stay_in_the_log(
    exporter: InMemorySpanExporter, png: bytes
) -> None:
    class BrokenEngine(FakeEngine):
        broken = False

        def predict(self, batch: np.ndarray, *, with_features: bool = False) -> Any:
            if self.broken:
                raise RuntimeError("Doe")
            return super().predict(batch, with_features=with_features)

    engine = BrokenEngine()
    async with client_of(fake_app(lambda _: fake_classifier(engine), traces=True)) as client:
        exporter.clear()
        engine.broken = True
        response = await client.post("/predict", content=png)
        span = request_span(exporter.get_finished_spans())
    assert response.status_code == 500
    assert span.status.status_code is StatusCode.ERROR
    assert "Doe" not in span.to_json()


async def resource_of_a_span(exporter: InMemorySpanExporter) -> Mapping[str, object]:
    """What a span of a new service says it is of."""
    async with client_of(fake_app(traces=True)) as client:
        await client.get("/model")
    return request_span(exporter.get_finished_spans()[-1:]).resource.attributes


async def test_the_spans_say_which_service_and_version_they_are_of(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    found = await resource_of_a_span(exporter)
    assert found["service.name"] == "cxr-inference"
    assert found["service.version"] == main.VERSION
    assert found["deployment.environment"] == "test"


async def test_the_operators_own_name_for_the_service_goes_first(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ward-7")
    found = await resource_of_a_span(exporter)
    assert found["service.name"] == "ward-7"


async def test_an_id_of_the_clients_own_stands_in_the_span(exporter: InMemorySpanExporter) -> None:
    async with client_of(fake_app(traces=True)) as client:
        await client.get("/model", headers={"X-Request-ID": "own"})
    span = request_span(exporter.get_finished_spans())
    assert (span.attributes or {})["cxr.request_id"] == "own"


@pytest.mark.parametrize("path", ["/health", "/health/live", "/v2/health/ready", "/metrics"])
async def test_what_is_asked_every_few_seconds_is_no_span(
    path: str, exporter: InMemorySpanExporter
) -> None:
    async with client_of(fake_app(traces=True)) as client:
        response = await client.get(path)
    assert response.status_code == 200
    assert not exporter.get_finished_spans()


async def test_a_method_that_nobody_knows_is_not_written_down(
    exporter: InMemorySpanExporter,
) -> None:
    async with client_of(fake_app(traces=True)) as client:
        await client.request("DOE", "/patients")
    span = request_span(exporter.get_finished_spans())
    assert span.name == "HTTP"
    assert (span.attributes or {})["http.request.method"] == "_OTHER"


@pytest.mark.parametrize(
    "tracestate",
    [pytest.param("Doe Jane,a=b,a=c", id="broken"), pytest.param("ward=Doe-Jane", id="whole")],
)
async def test_a_tracestate_reaches_neither_the_log_nor_the_spans(
    tracestate: str, exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": tracestate}
    async with client_of(fake_app(traces=True)) as client:
        exporter.clear()
        response = await client.get("/model", headers=headers)
    assert response.headers["X-Request-ID"] == TRACE
    assert "Doe" not in request_span(exporter.get_finished_spans()).to_json()
    assert "Doe" not in caplog.text


async def test_where_opentelemetry_is_switched_off_each_request_still_has_an_id_of_its_own(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    async with client_of(fake_app(traces=True)) as client:
        answers = [await client.get("/model") for _ in range(2)]
    assert not exporter.get_finished_spans()
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 2


def test_a_collector_that_does_not_answer_holds_up_no_exit() -> None:
    class Stuck(SimpleSpanProcessor):
        released = threading.Event()
        has_ended = False

        def shutdown(self) -> None:
            self.released.wait(60)
            self.has_ended = True

    processor = Stuck(InMemorySpanExporter())
    Tracing("1", processor).close()
    assert not processor.has_ended
    processor.released.set()


async def test_without_the_setting_nothing_of_opentelemetry_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, png: bytes
) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(main, "Tracing", never)
    async with client_of(fake_app()) as client:
        assert (await client.post("/predict", content=png)).status_code == 200


def test_where_it_is_not_installed_the_start_says_what_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"CXR_TRACES.*requirements/traces\.txt"):
        main.create_app(read_settings(traces=True))
