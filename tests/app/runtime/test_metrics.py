from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.server.problems import TABLE
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph
from tests.app.fakes import (
    BrightnessEngine,
    FakeEngine,
    SlowLoad,
    StuckEngine,
    client_of,
    fake_app,
    fake_classifier,
    gate_at,
)
from tests.stalls import be_killed
from tests.waiting import until

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(client: httpx.AsyncClient) -> Series:
    text = (await client.get("/metrics")).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float | None:
    return series.get((name, frozenset(labels.items())))


async def test_each_request_is_counted_by_method_route_and_status(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        for _ in range(3):
            await client.post("/predict", content=png)
        await client.post("/predict", content=b"hello")
        await client.get("/health")
        found = await scrape(client)
    name = "cxr_http_request_duration_seconds_count"
    assert value(found, name, method="POST", route="/predict", code="200") == 3
    assert value(found, name, method="POST", route="/predict", code="415") == 1
    assert value(found, name, method="GET", route="/health", code="200") == 1


async def test_each_stage_of_an_upload_is_measured_once(png: bytes) -> None:
    dicom = write_dicom(np.asarray(draw_radiograph()))
    async with client_of(fake_app()) as client:
        await client.post("/predict", content=png)
        await client.post("/explain", content=dicom)
        found = await scrape(client)
    name = "cxr_stage_duration_seconds_count"
    counts = [value(found, name, stage=stage) for stage in ("decode", "queue", "inference")]
    assert counts == [2, 2, 2]
    assert value(found, name, stage="explain") == 1
    assert value(found, "cxr_batch_size_count") == 2
    assert value(found, "cxr_batch_size_sum") == 2


async def test_answers_are_counted_by_class_and_those_of_all_classes_start_at_0(
    png: bytes,
) -> None:
    async with client_of(fake_app(lambda _: fake_classifier(FakeEngine()))) as client:
        before = await scrape(client)
        await client.post("/predict", content=png)
        found = await scrape(client)
    for label in ("COVID", "NORMAL", "PNEUMONIA"):
        for uncertain in ("true", "false"):
            labels = {"class": label, "uncertain": uncertain}
            assert value(before, "cxr_predictions_total", **labels) == 0
            expected = (label, uncertain) == ("PNEUMONIA", "false")
            assert value(found, "cxr_predictions_total", **labels) == expected
    name = "cxr_prediction_confidence_ratio_sum"
    assert value(found, name, **{"class": "PNEUMONIA"}) == pytest.approx(0.93)


async def test_the_gates_scores_are_kept_of_refused_pictures_too(png: bytes) -> None:
    def load(_: object) -> object:
        return fake_classifier(BrightnessEngine(), ood=gate_at(0.5, within=0.001))

    async with client_of(fake_app(load)) as client:
        await client.post("/predict", content=png)
        found = await scrape(client)
    assert value(found, "cxr_gate_score_ratio_count") == 1
    assert value(found, "cxr_gate_score_ratio_bucket", le="1.0") == 0
    assert value(found, "cxr_refused_total", reason="not-a-chest-x-ray") == 1
    assert not value(found, "cxr_predictions_total", **{"class": "PNEUMONIA", "uncertain": "false"})


@pytest.mark.parametrize(
    ("settings", "data", "reason"),
    [
        pytest.param({}, b"", "malformed-request", id="empty"),
        pytest.param({}, b"hello", "unsupported-image-type", id="text"),
        pytest.param({"max_upload_mb": 0.001}, b"x" * 5000, "too-many-bytes", id="large"),
        pytest.param({"api_keys": "key"}, b"hello", "unauthorized", id="no-key"),
    ],
)
async def test_refusals_are_counted_by_reason(
    settings: dict[str, object], data: bytes, reason: str
) -> None:
    async with client_of(fake_app(**settings)) as client:
        await client.post("/predict", content=data)
        client.headers["X-API-Key"] = "key"
        found = await scrape(client)
    assert value(found, "cxr_refused_total", reason=reason) == 1


async def test_refusals_and_bugs_are_counted_from_0_on_so_that_the_first_is_a_rise() -> None:
    app = fake_app()

    @app.get("/bug")
    async def _() -> None:
        raise ZeroDivisionError

    async with client_of(app) as client:
        before = await scrape(client)
        await client.get("/bug")
        after = await scrape(client)
    reasons = [value(before, "cxr_refused_total", reason=row.kind) for row in TABLE.values()]
    assert set(reasons) == {0}
    assert value(before, "cxr_faults_total") == 0
    assert value(after, "cxr_faults_total") == 1


async def test_a_service_without_a_model_says_that_it_is_not_ready(png: bytes) -> None:
    load = SlowLoad()
    async with client_of(fake_app(load), until=None) as client:
        await client.post("/predict", content=png)
        loading = await scrape(client)
        load.finish()

        async def is_ready() -> bool:
            return value(await scrape(client), "cxr_ready") == 1

        await until(is_ready)
    assert value(loading, "cxr_ready") == 0
    assert value(loading, "cxr_refused_total", reason="not-ready") == 1
    name = "cxr_http_request_duration_seconds_count"
    assert value(loading, name, method="POST", route="/predict", code="503") == 1
    assert not [name for name, _ in loading if name == "cxr_model_info"]


async def test_how_many_wait_is_told(png: bytes) -> None:
    engine = StuckEngine()
    app = fake_app(lambda _: fake_classifier(engine), max_batch_size=1)
    async with client_of(app) as client:
        asked = [asyncio.create_task(client.post("/predict", content=png)) for _ in range(9)]

        async def many_wait() -> bool:
            return (value(await scrape(client), "cxr_queue_depth") or 0) >= 5

        await until(engine.begun.is_set)
        await until(many_wait)
        engine.released.set()
        await asyncio.gather(*asked)
        assert value(await scrape(client), "cxr_queue_depth") == 0


async def test_the_model_that_is_served_is_named() -> None:
    async with client_of(fake_app()) as client:
        found = await scrape(client)
    ((labels, one),) = [
        (dict(labels), v) for (n, labels), v in found.items() if n == "cxr_model_info"
    ]
    assert one == 1
    assert (labels["name"], labels["engine"], labels["device"]) == ("fake", "fake", "cpu")
    assert (len(labels["sha256"]), labels["calibrated"]) == (64, "false")


async def test_whatever_is_asked_the_labels_do_not_grow(png: bytes) -> None:
    async def ask_all(client: httpx.AsyncClient, name: str) -> None:
        await client.get(f"/{name}")
        await client.request(name.upper(), "/predict")
        await client.post(f"/explain?class={name}", content=png)
        await client.post("/predict", content=png, headers={"X-Request-ID": name})
        await client.post("/predict", files={"file": (f"{name}.png", png)})

    async with client_of(fake_app()) as client:
        await ask_all(client, "one")
        await scrape(client)
        before = set(await scrape(client))
        for name in ("two", "three", "doe-jane"):
            await ask_all(client, name)
        after = set(await scrape(client))
    assert after == before


async def test_openmetrics_is_spoken_where_it_is_asked_for() -> None:
    async with client_of(fake_app()) as client:
        plain = await client.get("/metrics")
        asked = await client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert asked.headers["content-type"].startswith("application/openmetrics-text")
    assert asked.text.endswith("# EOF\n")
    assert "process_resident_memory_bytes" in plain.text


@pytest.mark.parametrize("version", ["x", "1.0.0.0", "", "-1", "٣"])
async def test_a_version_that_is_none_is_answered_in_plain_text(version: str) -> None:
    accept = f"application/openmetrics-text; version={version}"
    async with client_of(fake_app()) as client:
        answer = await client.get("/metrics", headers={"Accept": accept.encode()})
    assert answer.status_code == 200
    assert "cxr_ready 1.0" in answer.text


async def test_where_keys_are_set_the_metrics_need_one() -> None:
    async with client_of(fake_app(api_keys="key")) as client:
        refused = await client.get("/metrics")
        allowed = await client.get("/metrics", headers={"Authorization": "Bearer key"})
    assert (refused.status_code, allowed.status_code) == (401, 200)


async def test_a_decoder_that_is_killed_is_counted_by_its_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = write_dicom(np.asarray(draw_radiograph()))
    monkeypatch.setattr("app.inference.decoder_pool.decode_upload", be_killed)
    async with client_of(fake_app()) as client:
        before = await scrape(client)
        answer = await client.post("/predict", content=film)
        after = await scrape(client)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:cxr:problem:decoding-stopped")
    assert answer.headers["retry-after"]
    name = "cxr_decoder_deaths_total"
    assert [value(before, name, cause=cause) for cause in ("killed", "crashed")] == [0, 0]
    assert value(after, name, cause="killed") == 2
