from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.settings import VERSION
from app.xray.errors import CheckpointMissing
from tests.app.fakes import SHA256, SlowLoad, client_of, fake_app, fake_classifier

if TYPE_CHECKING:
    from app.inference.classifier import Classifier
    from app.settings import Settings

pytestmark = pytest.mark.anyio

NOTHING_LOADED = {
    "reload": None,
    "version": VERSION,
    "model": None,
    "engine": None,
    "device": None,
    "precision": None,
    "assumed": None,
}


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_ready_names_model_engine_and_device(path: str) -> None:
    async with client_of(fake_app()) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "version": VERSION,
        "model": {"name": "fake", "sha256": SHA256, "calibrated": False},
        "engine": "fake",
        "precision": "f32",
        "device": "cpu",
        "assumed": None,
        "reason": None,
        "reload": None,
    }


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_loading_is_not_ready_but_alive(path: str) -> None:
    load = SlowLoad()
    async with client_of(fake_app(load), until="loading") as client:
        answer = await client.get(path)
        alive = await client.get("/health/live")
        load.finish()
    assert answer.status_code == 503
    assert answer.json() == {"status": "loading", "reason": None, **NOTHING_LOADED}
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})


async def test_failed_says_why() -> None:
    def load(_: Settings) -> Classifier:
        raise CheckpointMissing("models/x.h5: no such file")

    async with client_of(fake_app(load), until="failed") as client:
        answer = await client.get("/health")
        alive = await client.get("/health/live")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "failed",
        "reason": "models/x.h5: no such file",
        **NOTHING_LOADED,
    }
    assert alive.status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live"])
async def test_a_load_balancer_may_ask_with_head(path: str) -> None:
    async with client_of(fake_app()) as client:
        answer = await client.head(path)
    assert answer.status_code == 200


async def test_draining_is_not_ready_but_serves_until_it_is_over(png: bytes) -> None:
    app = fake_app()
    async with client_of(app) as client:
        app.state.service.drain()
        unready = [
            await client.get(path)
            for path in ("/health", "/health/ready", "/v2/health/ready", "/v2/models/fake/ready")
        ]
        served = await client.post("/predict", content=png)
        app.state.service.stop()
        refused = await client.post("/predict", content=png)
    assert [answer.status_code for answer in unready] == [503] * 4
    assert unready[0].json()["status"] == "draining"
    assert served.status_code == 200
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)


async def test_the_model_is_described_by_its_contract() -> None:
    classifier = fake_classifier(temperature=1.5, operating_points={"COVID": 0.4})
    async with client_of(fake_app(lambda _: classifier)) as client:
        answer = await client.get("/model")
    assert answer.json() == {
        **classifier.contract.model_dump(mode="json"),
        "name": "fake",
        "sha256": SHA256,
        "calibrated": True,
        "carries_contract": True,
        "engine": {
            "name": "fake",
            "device": "cpu",
            "precision": "f32",
            "layout": "channels first",
            "held_against": "known answers",
            "largest_difference": 0.00025,
        },
    }


async def test_the_model_is_not_described_before_it_is_loaded() -> None:
    def load(_: Settings) -> Classifier:
        raise CheckpointMissing("models/x.h5: no such file")

    async with client_of(fake_app(load), until="failed") as client:
        answer = await client.get("/model")
    assert answer.status_code == 503


async def test_the_description_of_the_api_says_what_it_is_not() -> None:
    async with client_of(fake_app()) as client:
        document = (await client.get("/openapi.json")).json()
        docs = await client.get("/docs")
    assert "not a medical device" in document["info"]["description"]
    assert {path for path in document["paths"] if not path.startswith("/v2")} == {
        "/explain",
        "/predict",
        "/predict/batch",
        "/health",
        "/health/live",
        "/health/ready",
        "/model",
        "/metrics",
    }
    predict = document["paths"]["/predict"]["post"]
    assert set(predict["requestBody"]["content"]) == {
        "multipart/form-data",
        "application/octet-stream",
    }
    assert set(predict["responses"]) == {
        "200",
        "400",
        "401",
        "413",
        "415",
        "422",
        "501",
        "503",
        "504",
    }
    assert docs.status_code == 200
