from __future__ import annotations

import io
import json

import pytest
from PIL import Image, ImageOps

from app.inference.classifier import UNCALIBRATED, UNGATED
from app.xray.errors import NotExplainable
from benchmarks.rig.corpus.drawing import checkered, encode
from tests.app.fakes import (
    BrightnessEngine,
    FakeEngine,
    SlowLoad,
    client_of,
    fake_app,
    fake_classifier,
    gate_at,
)

pytestmark = pytest.mark.anyio


async def test_the_answer_is_a_picture_by_form_and_by_raw_body(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        form = await client.post("/explain", files={"file": ("x.png", png, "image/png")})
        raw = await client.post("/explain", content=png)
    assert (form.status_code, form.headers["content-type"]) == (200, "image/png")
    assert "X-Request-ID" in form.headers
    assert Image.open(io.BytesIO(form.content)).format == "PNG"
    assert form.content == raw.content
    said = json.loads(form.headers["X-CXR-Prediction"])
    assert (said["label"], said["uncertain"]) == ("PNEUMONIA", False)
    assert said["warnings"] == [UNCALIBRATED, UNGATED]


async def test_the_class_can_be_named(png: bytes) -> None:
    async with client_of(fake_app()) as client:
        likeliest = await client.post("/explain", content=png)
        same = await client.post("/explain?class=PNEUMONIA", content=png)
        other = await client.post("/explain?class=COVID", content=png)
    assert likeliest.content == same.content != other.content


@pytest.mark.parametrize("name", ["", "covid", "%00", "x" * 1000])
async def test_an_unknown_class_gets_400_and_is_told_which_there_are(name: str, png: bytes) -> None:
    engine = FakeEngine()
    async with client_of(fake_app(lambda _: fake_classifier(engine))) as client:
        answer = await client.post(f"/explain?class={name}", content=png)
    assert answer.status_code == 400
    assert engine.batches == [], "the model was run for it"
    assert "COVID, NORMAL, PNEUMONIA" in answer.json()["detail"]


@pytest.mark.parametrize(("data", "status"), [(b"", 400), (b"hello", 415), (b"\xff\xd8\xff", 422)])
async def test_a_bad_upload_gets_the_problem_that_predict_gives(data: bytes, status: int) -> None:
    async with client_of(fake_app()) as client:
        answer = await client.post("/explain", content=data)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_is_no_chest_x_ray_is_not_explained(png: bytes) -> None:
    gate = gate_at(0.9, within=0.001)
    app = fake_app(lambda _: fake_classifier(BrightnessEngine(), ood=gate))
    async with client_of(app) as client:
        answer = await client.post("/explain", content=png)
    assert (answer.status_code, answer.json()["title"]) == (422, "Not a chest X-ray")


async def test_a_negative_is_shown_as_it_was_answered() -> None:
    gate = gate_at(40 / 255, within=0.1)
    app = fake_app(lambda _: fake_classifier(BrightnessEngine(), ood=gate))
    dark = checkered(20, 60)
    async with client_of(app) as client:
        proper = await client.post("/explain", content=encode(dark))
        negative = await client.post("/explain", content=encode(ImageOps.invert(dark)))
    assert proper.status_code == 200
    assert negative.content == proper.content


async def test_a_model_that_cannot_be_explained_gets_501_and_still_predicts(png: bytes) -> None:
    class Opaque(FakeEngine):
        def gradients(self, pooled: object) -> None:  # type: ignore[override]
            raise NotExplainable("this model cannot be explained: its head is a fork")

    async with client_of(fake_app(lambda _: fake_classifier(Opaque()))) as client:
        answer = await client.post("/explain", content=png)
        predicted = await client.post("/predict", content=png)
    assert answer.status_code == 501
    assert "its head is a fork" in answer.json()["detail"]
    assert predicted.status_code == 200


async def test_while_loading_it_is_not_ready(png: bytes) -> None:
    load = SlowLoad()
    async with client_of(fake_app(load), until=None) as client:
        answer = await client.post("/explain", content=png)
        load.finish()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
