"""Another checkpoint, or another engine, takes the place of the one that is served."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from app.inference.lifecycle import Service
from app.settings import read_settings
from app.xray.errors import (
    CheckpointCorrupt,
    InferenceStopped,
    NotReady,
    ReloadFailed,
    ReloadUnderWay,
)
from tests.app.fakes import FakeEngine, StuckEngine, client_of, fake_app, fake_classifier
from tests.waiting import LIMIT_S, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import numpy as np

    from app.inference.classifier import Classifier
    from app.inference.engines.engine import Output
    from app.settings import Settings
    from app.xray.checkpoint import Checkpoint

pytestmark = pytest.mark.anyio


class Shelf:
    """Loads what lies on it next: a classifier, or an error; the last one again and again."""

    def __init__(self, *items: Classifier | Exception) -> None:
        self.items = list(items)
        self.loaded: list[Checkpoint | None] = []
        self.open = threading.Event()
        self.open.set()

    def __call__(self, _: Settings, checkpoint: Checkpoint | None = None) -> Classifier:
        self.loaded.append(checkpoint)
        self.open.wait(LIMIT_S)
        item = self.items.pop(0) if len(self.items) > 1 else self.items[0]
        if isinstance(item, Exception):
            raise item
        return item


def classifier_of(digit: str, engine: FakeEngine | None = None, **contract: Any) -> Classifier:
    """One whose checkpoint has a digest of `digit` alone."""
    made = fake_classifier(engine, **contract)
    made.checkpoint = replace(made.checkpoint, sha256=digit * 64)
    return made


def digit_of(service: Service) -> str:
    assert service.loaded is not None
    return service.loaded.checkpoint.sha256[0]


@asynccontextmanager
async def serving(shelf: Shelf, **options: Any) -> AsyncIterator[Service]:
    watch_interval_s = options.pop("watch_interval_s", 60)
    service = Service(read_settings(**options), shelf, watch_interval_s=watch_interval_s)
    await service.start()
    try:
        yield service
    finally:
        service.close()


async def test_a_new_checkpoint_takes_the_place_of_the_old(png: bytes) -> None:
    shelf = Shelf(classifier_of("a"), classifier_of("b", FakeEngine((0.9, 0.05, 0.05))))
    async with serving(shelf) as service:
        before = await service.pipeline.classify(png)
        outcome = await service.reload()
        after = await service.pipeline.classify(png)
    assert (before.label, after.label) == ("PNEUMONIA", "COVID")
    assert (outcome.status, outcome.sha256, outcome.reason) == ("succeeded", "b" * 64, None)
    assert service.last_reload == outcome


async def test_requests_under_way_are_answered_by_the_model_that_they_came_to(png: bytes) -> None:
    engine = StuckEngine()
    shelf = Shelf(classifier_of("a", engine), classifier_of("b", FakeEngine((0.9, 0.05, 0.05))))
    async with serving(shelf) as service:
        old = service.pipeline

        async def ask() -> str:
            with old.in_use():
                return (await old.classify(png)).label

        asked = [asyncio.create_task(ask()) for _ in range(20)]
        await asyncio.to_thread(engine.begun.wait, 5)
        await service.reload()
        assert (await service.pipeline.classify(png)).label == "COVID"
        engine.released.set()
        assert set(await asyncio.gather(*asked)) == {"PNEUMONIA"}
        with pytest.raises(RuntimeError, match="shutdown"):
            await old.classify(png)


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        pytest.param(CheckpointCorrupt("x.h5: not HDF5"), "x.h5: not HDF5", id="corrupt"),
        pytest.param(
            ZeroDivisionError("a secret"), "a fault of the service; see its log", id="bug"
        ),
        pytest.param(
            fake_classifier(FakeEngine((0.5, 0.5)), classes=("SICK", "WELL")),
            "models/fake.h5: its classes are SICK, WELL, those served are COVID, NORMAL, "
            "PNEUMONIA; a restart serves it",
            id="other-classes",
        ),
    ],
)
async def test_where_the_new_one_cannot_be_served_the_old_one_goes_on(
    offered: Any, reason: str, png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(Shelf(classifier_of("a"), offered)) as service:
        with pytest.raises(ReloadFailed) as caught:
            await service.reload()
        assert (await service.pipeline.classify(png)).label == "PNEUMONIA"
        assert (digit_of(service), service.status) == ("a", "ready")
    assert str(caught.value) == f"The old checkpoint is served on: {reason}"
    assert service.last_reload is not None
    assert (service.last_reload.status, service.last_reload.reason) == ("failed", reason)
    assert f"not reloaded: {reason}" in caplog.text


async def test_two_reloads_at_once_are_one_too_many() -> None:
    shelf = Shelf(classifier_of("a"), classifier_of("b"))
    async with serving(shelf) as service:
        shelf.open.clear()
        first = asyncio.create_task(service.reload())
        await until(lambda: len(shelf.loaded) == 2)
        with pytest.raises(ReloadUnderWay):
            await service.reload()
        shelf.open.set()
        assert (await first).status == "succeeded"


async def test_signals_during_a_reload_have_it_done_once_more() -> None:
    shelf = Shelf(*map(classifier_of, "abcd"))
    async with serving(shelf) as service:
        shelf.open.clear()
        service.reload_soon()
        await until(lambda: len(shelf.loaded) == 2)
        for _ in range(10):
            service.reload_soon()
        shelf.open.set()
        await until(lambda: digit_of(service) == "c")
        await until(lambda: service._reloading is None or service._reloading.done())
        assert len(shelf.loaded) == 3


async def test_a_signal_before_there_is_a_model_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = Service(read_settings(), Shelf(classifier_of("a")))
    with pytest.raises(NotReady, match="loading"):
        await service.reload()
    service.reload_soon()
    await until(lambda: "not reloaded: The service is loading" in caplog.text)
    service.close()


class Breaking(FakeEngine):
    """Answers until it is told to break."""

    is_broken = False

    def predict(self, batch: np.ndarray, *, with_features: bool = False) -> Output:
        if self.is_broken:
            raise RuntimeError("the device is lost")
        return super().predict(batch, with_features=with_features)


async def test_an_engine_that_broke_is_started_anew_from_the_same_checkpoint(
    png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "app")
    engine = Breaking()
    shelf = Shelf(classifier_of("a", engine), classifier_of("a"))
    async with serving(shelf, watch_interval_s=0.02) as service:
        await until(lambda: len(engine.batches) > 3)  # it was looked at again and again
        assert len(shelf.loaded) == 1, "it was started anew without a reason"
        shelf.open.clear()
        engine.is_broken = True
        await until(lambda: service.status == "loading")
        with pytest.raises(NotReady):
            _ = service.pipeline
        shelf.open.set()
        await until(lambda: service.status == "ready")
        assert (await service.pipeline.classify(png)).label == "PNEUMONIA"
        assert shelf.loaded[1].sha256 == "a" * 64
        assert service.is_alive
    assert "the model does not answer" in caplog.text
    assert "started anew" in caplog.text


async def test_an_engine_that_hangs_is_started_anew_and_those_who_wait_are_told(
    png: bytes,
) -> None:
    engine = StuckEngine()
    shelf = Shelf(classifier_of("a", engine), classifier_of("a"))
    async with serving(shelf, watch_interval_s=0.02, request_timeout_s=2) as service:
        waiting = [asyncio.create_task(service.pipeline.classify(png)) for _ in range(10)]
        found = await asyncio.gather(*waiting, return_exceptions=True)
        await until(lambda: service.status == "ready")
        assert (await service.pipeline.classify(png)).label == "PNEUMONIA"
    engine.released.set()
    assert {type(error) for error in found} == {InferenceStopped}


async def test_where_that_fails_the_process_asks_for_its_own_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Breaking()
    shelf = Shelf(classifier_of("a", engine), CheckpointCorrupt("no device"))
    app = fake_app(shelf)
    app.state.service._watch_interval_s = 0.02
    async with client_of(app) as client:
        assert (await client.get("/health/live")).status_code == 200
        engine.is_broken = True
        await until(lambda: not app.state.service.is_alive)
        live, health = await client.get("/health/live"), await client.get("/health")
    assert (live.status_code, live.json()) == (503, {"status": "dead"})
    assert (health.status_code, health.json()["status"]) == (503, "failed")
    assert health.json()["reason"] == "no device"
    assert "cannot start the model anew: no device" in caplog.text


async def test_the_route_tells_the_outcome_and_so_does_health() -> None:
    shelf = Shelf(classifier_of("a"), classifier_of("b"), CheckpointCorrupt("x.h5: not HDF5"))
    headers = {"X-API-Key": "admins-own"}
    async with client_of(fake_app(shelf, admin_key="admins-own")) as client:
        good = await client.post("/admin/reload", headers=headers)
        bad = await client.post("/admin/reload", headers=headers)
        health = (await client.get("/health")).json()
    assert good.status_code == 200
    assert (good.json()["status"], good.json()["sha256"]) == ("succeeded", "b" * 64)
    assert bad.status_code == 422
    assert bad.json()["type"] == "urn:cxr:problem:reload-failed"
    assert bad.json()["detail"] == "The old checkpoint is served on: x.h5: not HDF5"
    assert (health["status"], health["model"]["sha256"]) == ("ready", "b" * 64)
    assert (health["reload"]["status"], health["reload"]["reason"]) == ("failed", "x.h5: not HDF5")


async def test_an_answer_names_the_model_that_gave_it_across_a_reload(png: bytes) -> None:
    engine = StuckEngine()
    shelf = Shelf(classifier_of("a", engine), classifier_of("b"))
    async with client_of(fake_app(shelf, admin_key="admins-own")) as client:
        asked = asyncio.create_task(client.post("/predict", content=png))
        await asyncio.to_thread(engine.begun.wait, 5)
        await client.post("/admin/reload", headers={"X-API-Key": "admins-own"})
        engine.released.set()
        answer = (await asked).json()
        later = (await client.post("/predict", content=png)).json()
    assert (answer["model"]["sha256"][0], later["model"]["sha256"][0]) == ("a", "b")
