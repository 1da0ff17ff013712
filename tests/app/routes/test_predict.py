from __future__ import annotations

import io
from base64 import b64decode
from functools import partial
from typing import TYPE_CHECKING

import anyio
import numpy as np
import pytest
from PIL import Image

from app.inference.classifier import NEGATIVE, UNCALIBRATED, UNGATED
from app.xray.errors import NotExplainable
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import checkered, draw_radiograph, encode, png_declaring
from tests.app.fakes import (
    SHA256,
    BrightnessEngine,
    FakeEngine,
    SlowLoad,
    StuckEngine,
    client_of,
    fake_app,
    fake_classifier,
    full_queue,
    gate_at,
    never_read,
)
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx


pytestmark = pytest.mark.anyio


def assert_problem(answer: httpx.Response, status: int, kind: str, title: str) -> str:
    """The refusal is a complete problem document; gives its detail."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "request_id"}
    assert (body["type"], body["title"]) == (f"urn:cxr:problem:{kind}", title)
    assert (body["status"], body["instance"]) == (status, "/predict")
    assert body["request_id"] == answer.headers["X-Request-ID"]
    detail: str = body["detail"]
    return detail


async def test_a_form_and_a_raw_body_get_the_agreed_answer(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        form = await client.post("/predict", files={"file": ("x.png", png, "image/png")})
        raw = await client.post("/predict", content=png, headers={"Content-Type": "image/png"})
    body = form.json()
    request_id = body.pop("request_id")
    probabilities = body.pop("probabilities")
    assert list(probabilities) == ["COVID", "NORMAL", "PNEUMONIA"]
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert probabilities == pytest.approx({"COVID": 0.02, "NORMAL": 0.05, "PNEUMONIA": 0.93})
    assert body == {
        "label": "PNEUMONIA",
        "confidence": probabilities["PNEUMONIA"],
        "prediction_set": ["PNEUMONIA"],
        "uncertain": False,
        "warnings": [UNCALIBRATED, UNGATED],
        "model": {"name": "fake", "sha256": SHA256, "calibrated": False},
    }
    assert request_id == form.headers["X-Request-ID"]
    assert raw.json()["probabilities"] == probabilities


async def test_a_calibrated_model_answers_without_warning(png: bytes) -> None:
    app = fake_app(lambda _: fake_classifier(temperature=1.2, ood=gate_at(0, within=9)))
    async with client_of(app) as client:
        body = (await client.post("/predict", content=png)).json()
    assert body["warnings"] == []
    assert body["model"]["calibrated"] is True


async def test_what_is_no_chest_x_ray_is_refused_with_score_and_threshold(png: bytes) -> None:
    gate = gate_at(0.9, within=0.001)
    app = fake_app(lambda _: fake_classifier(BrightnessEngine(), ood=gate))
    async with client_of(app) as client:
        answer = await client.post("/predict", content=png)
    body = answer.json()
    assert (answer.status_code, body["title"]) == (422, "Not a chest X-ray")
    assert body["score"] > body["threshold"] == pytest.approx(0.001)


async def test_with_a_warning_it_is_answered_where_the_settings_say_so(png: bytes) -> None:
    gate = gate_at(0.9, within=0.001)
    app = fake_app(
        lambda settings: fake_classifier(BrightnessEngine(), policy=settings.ood, ood=gate),
        ood="warn",
    )
    async with client_of(app) as client:
        answer = await client.post("/predict", content=png)
    assert answer.status_code == 200
    assert "does not look like a frontal chest X-ray" in answer.json()["warnings"][0]


async def test_a_negative_is_answered_as_what_it_is_the_negative_of() -> None:
    gate = gate_at(40 / 255, within=0.1)
    app = fake_app(lambda _: fake_classifier(BrightnessEngine(), temperature=1.2, ood=gate))
    async with client_of(app) as client:
        answer = await client.post("/predict", content=encode(checkered(195, 235)))
    assert (answer.status_code, answer.json()["warnings"]) == (200, [NEGATIVE])


async def test_an_explanation_comes_with_the_answer_where_it_is_asked_for(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        body = (await client.post("/predict?explain=true", content=png)).json()
        plain = (await client.post("/predict?explain=false", content=png)).json()
        refused = await client.post("/predict?explain=perhaps", content=png)
    kind, _, data = body.pop("heatmap").partition(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(b64decode(data))).format == "PNG"
    assert {**body, "request_id": ""} == {**plain, "request_id": ""}
    assert refused.status_code == 400


async def test_a_dicom_file_is_answered_and_another_modality_named() -> None:
    levels = np.asarray(draw_radiograph())
    async with client_of(fake_app()) as client:
        answer = await client.post(
            "/predict",
            content=write_dicom(levels),
            headers={"Content-Type": "application/dicom"},
        )
        scan = await client.post("/predict", content=write_dicom(levels, Modality="CT"))
    assert answer.status_code == 200
    assert scan.status_code == 422
    assert "CT" in scan.json()["detail"]


async def test_the_type_is_decided_from_the_bytes_not_from_name_or_header(jpeg: bytes) -> None:
    async with client_of(fake_app()) as client:
        answer = await client.post("/predict", files={"file": ("x.txt", jpeg, "text/plain")})
        lie = await client.post("/predict", files={"file": ("x.png", b"hello", "image/png")})
    assert answer.status_code == 200
    assert lie.status_code == 415


@pytest.mark.parametrize(
    ("data", "status", "kind", "title"),
    [
        pytest.param(b"", 400, "malformed-request", "The request is malformed", id="empty"),
        pytest.param(
            b"hello",
            415,
            "unsupported-image-type",
            "Not an image type that is taken",
            id="no-image",
        ),
        pytest.param(
            b"\x89PNG\r\n\x1a\n" + bytes(9),
            422,
            "unusable-image",
            "The image cannot be used",
            id="broken",
        ),
        pytest.param(
            png_declaring(60_000, 60_000),
            413,
            "too-many-pixels",
            "The picture is too large",
            id="pixels",
        ),
        pytest.param(
            bytes(1_000_001), 413, "too-many-bytes", "The upload is too large", id="bytes"
        ),
    ],
)
async def test_a_bad_upload_gets_its_problem_and_the_next_is_served(
    data: bytes, status: int, kind: str, title: str, png: bytes
) -> None:
    async with client_of(fake_app(max_upload_mb=1)) as client:
        refused = await client.post("/predict", files={"file": ("x.png", data)})
        assert_problem(refused, status, kind, title)
        assert (await client.post("/predict", content=png)).status_code == 200


async def test_a_truncated_picture_is_unusable(jpeg: bytes) -> None:
    async with client_of(fake_app()) as client:
        answer = await client.post("/predict", content=jpeg[: len(jpeg) // 2])
    detail = assert_problem(answer, 422, "unusable-image", "The image cannot be used")
    assert detail == "The JPEG file is truncated or corrupt."


async def test_while_the_model_is_loading_a_client_is_told_when_to_come_back(png: bytes) -> None:
    load = SlowLoad()
    async with client_of(fake_app(load), until="loading") as client:
        answer = await client.post("/predict", content=png)
        load.finish()
    detail = assert_problem(answer, 503, "not-ready", "The service is not ready")
    assert "loading" in detail
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_full_queue_is_a_503_with_a_time_to_come_back(png: bytes) -> None:
    async with full_queue(png) as client:
        answer = await client.post("/predict", content=never_read())
    detail = assert_problem(answer, 503, "queue-full", "Too many requests wait already")
    assert detail == "1 requests are waiting already; try again shortly."
    assert int(answer.headers["Retry-After"]) > 0


async def test_uploads_that_take_all_the_memory_they_may_are_told_to_come_back(
    png: bytes,
) -> None:
    engine = StuckEngine()
    largest = len(png) / 1e6
    app = fake_app(
        lambda _: fake_classifier(engine), max_upload_mb=largest, max_queue_mb=1.5 * largest
    )
    async with client_of(app) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(client.post, "/predict", content=png))
            await anyio.to_thread.run_sync(engine.begun.wait, 5)
            answer = await client.post("/predict", content=png)
            engine.released.set()
        assert (await client.post("/predict", content=png)).status_code == 200
    detail = assert_problem(answer, 503, "queue-full", "Too many requests wait already")
    assert detail == "Uploads take all the memory they may; try again shortly."


async def test_an_answer_past_the_deadline_is_a_504(png: bytes) -> None:
    engine = StuckEngine()
    app = fake_app(lambda _: fake_classifier(engine), request_timeout_s=0.05)
    async with client_of(app) as client:
        answer = await client.post("/predict", content=png)
        engine.released.set()
    assert_problem(answer, 504, "deadline-exceeded", "The answer took too long")


async def test_a_client_that_hangs_up_frees_its_place_before_the_model_is_run(
    png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "app")
    engine = StuckEngine()
    app = fake_app(lambda _: fake_classifier(engine))
    messages = iter([{"type": "http.request", "body": png}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, object]:
        message = next(messages)
        if message["type"] == "http.disconnect":
            await until(lambda: app.state.service.pipeline.waiting == 1)
        return message

    async def send(_: object) -> None:
        raise AssertionError("nobody is there to be answered")

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "headers": [],
        "query_string": b"",
    }
    async with client_of(app) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(client.post, "/predict", content=png))
        await anyio.to_thread.run_sync(engine.begun.wait, 5)
        await app(scope, receive, send)
        engine.released.set()
    assert len(engine.batches) == 1
    assert "POST /predict 499" in caplog.text


async def test_a_body_that_comes_too_slowly_is_a_504_too(png: bytes) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield png[:100]
        await anyio.sleep_forever()
        yield png[100:]

    async with client_of(fake_app(request_timeout_s=0.05)) as client:
        answer = await client.post("/predict", content=slowly())
    assert_problem(answer, 504, "deadline-exceeded", "The answer took too long")


async def test_clients_at_once_get_each_their_own_answer(png: bytes) -> None:
    answers: dict[str, httpx.Response] = {}
    async with client_of(fake_app()) as client:

        async def ask(name: str, data: bytes) -> None:
            answers[name] = await client.post(
                "/predict", content=data, headers={"X-Request-ID": name}
            )

        async with anyio.create_task_group() as tasks:
            for index in range(20):
                tasks.start_soon(ask, f"good-{index}", png)
                tasks.start_soon(ask, f"bad-{index}", png[:200])
    for name, answer in answers.items():
        assert answer.json()["request_id"] == name
        assert answer.status_code == (200 if name.startswith("good") else 422)


async def test_another_method_is_a_problem_too() -> None:
    async with client_of(fake_app()) as client:
        answer = await client.get("/predict")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Method Not Allowed"


def picture_of(uri: str) -> Image.Image:
    head, _, content = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(b64decode(content)))


async def test_layers_come_when_they_are_asked_for(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        body = (await client.post("/predict?layers=true", content=png)).json()
        plain = (await client.post("/predict", content=png)).json()
    layers = body.pop("layers")
    assert {**body, "request_id": ""} == {**plain, "request_id": ""}
    assert [*layers["heat"]] == [*body["probabilities"]]
    picture, heat = picture_of(layers["picture"]), map(picture_of, layers["heat"].values())
    assert (picture.mode, picture.size) == ("L", (300, 260))
    opacity = [np.asarray(layer)[..., 3] for layer in heat if layer.mode == "RGBA"]
    assert [layer.shape for layer in opacity] == [(65, 75)] * 3
    # Of the 2 x 3 places the first speaks for COVID alone, the last above for PNEUMONIA.
    covid, _, pneumonia = opacity
    assert covid[:20, :20].mean() > 200 > 20 > covid[45:].mean()
    assert pneumonia[:20, -20:].mean() > 200


async def test_in_layers_a_negative_is_shown_as_it_was_answered() -> None:
    gate = gate_at(40 / 255, within=0.1)
    app = fake_app(lambda _: fake_classifier(BrightnessEngine(), ood=gate))
    negative = encode(checkered(195, 235))
    async with client_of(app) as client:
        answer = await client.post("/predict?layers=true", content=negative)
    assert picture_of(answer.json()["layers"]["picture"]).getextrema() == (20, 60)


async def test_a_class_that_nothing_speaks_for_has_no_layer(png: bytes) -> None:
    class AgainstCovid(FakeEngine):
        def gradients(self, pooled: np.ndarray) -> np.ndarray:
            return super().gradients(pooled) * np.array([[-1], [1], [1]])

    async with client_of(fake_app(lambda _: fake_classifier(AgainstCovid()))) as client:
        answer = await client.post("/predict?layers=true", content=png)
    assert [*answer.json()["layers"]["heat"]] == ["NORMAL", "PNEUMONIA"]


async def test_a_model_that_cannot_be_explained_still_shows_the_picture(png: bytes) -> None:
    class Opaque(FakeEngine):
        def gradients(self, pooled: object) -> None:  # type: ignore[override]
            raise NotExplainable("this model cannot be explained: its head is a fork")

    async with client_of(fake_app(lambda _: fake_classifier(Opaque()))) as client:
        answer = await client.post("/predict?layers=true", content=png)
    assert answer.status_code == 200
    assert [*answer.json()["layers"]] == ["picture"]
    assert answer.json()["layers"]["picture"].startswith("data:image/png;base64,")
