from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from app.service import Service
from app.settings import Settings, read_settings
from app.xray.errors import CheckpointMissing, DeadlineExceeded, NotReady, UnusableImage
from tests.app.fakes import FakeEngine, SlowLoad, StuckEngine, fake_classifier

if TYPE_CHECKING:
    import numpy as np

    from app.classifier import Classifier

pytestmark = pytest.mark.anyio


def service_of(engine: FakeEngine | None = None, **settings: object) -> Service:
    return Service(read_settings(**settings), lambda _: fake_classifier(engine))


async def test_a_service_is_loading_then_ready_then_draining() -> None:
    load = SlowLoad()
    service = Service(read_settings(), load)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.start)
        await anyio.sleep(0.01)
        assert service.status == "loading"
        with pytest.raises(NotReady, match="loading"):
            _ = service.classifier
        load.finish()
    assert service.status == "ready"
    service.stop()
    assert service.status == "draining"
    with pytest.raises(NotReady, match="draining"):
        _ = service.classifier


async def test_a_service_told_to_end_while_loading_does_not_become_ready() -> None:
    load = SlowLoad()
    service = Service(read_settings(), load)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.start)
        await anyio.sleep(0.01)
        service.stop()
        load.finish()
    assert service.status == "draining"


async def test_an_upload_accepted_before_the_end_is_still_answered(png: bytes) -> None:
    service = service_of()
    await service.start()
    classifier = service.classifier
    service.stop()
    assert (await service.classify(png, classifier)).label == "PNEUMONIA"


async def test_a_model_that_cannot_be_loaded_fails_the_service_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def load(_: Settings) -> Classifier:
        raise CheckpointMissing("models/x.h5: no such file")

    service = Service(read_settings(), load)
    told = []
    service.on_failure = lambda: told.append(service.status)
    await service.start()
    assert told == ["failed"]
    assert str(service.failure) == "models/x.h5: no such file"
    assert "cannot serve the model: models/x.h5: no such file" in caplog.text


async def test_an_upload_goes_the_whole_road(png: bytes) -> None:
    engine = FakeEngine()
    service = service_of(engine)
    await service.start()
    prediction = await service.classify(png, service.classifier)
    assert prediction.label == "PNEUMONIA"
    (batch,) = engine.batches
    assert (batch.shape, batch.dtype) == ((1, 224, 224, 3), "float32")
    assert 0 <= batch.min() < batch.max() <= 1


async def test_a_bad_upload_raises_and_the_next_is_answered(png: bytes) -> None:
    service = service_of()
    await service.start()
    with pytest.raises(UnusableImage):
        await service.classify(png[:100], service.classifier)
    assert (await service.classify(png, service.classifier)).label == "PNEUMONIA"


async def test_the_model_runs_one_batch_at_a_time(png: bytes) -> None:
    class Counting(FakeEngine):
        running = 0
        most = 0

        def predict(self, batch: np.ndarray) -> np.ndarray:
            self.running += 1
            self.most = max(self.most, self.running)
            time.sleep(0.005)
            self.running -= 1
            return super().predict(batch)

    engine = Counting()
    service = service_of(engine)
    await service.start()
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(service.classify, png, service.classifier)
    assert len(engine.batches) == 8
    assert engine.most == 1


async def test_what_takes_too_long_is_given_up(png: bytes) -> None:
    engine = StuckEngine()
    service = service_of(engine, request_timeout_s=0.1)
    await service.start()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.1 s"):
        async with service.deadline():
            await service.classify(png, service.classifier)
    engine.released.set()


async def test_the_event_loop_is_free_while_a_picture_is_decoded_and_classified(
    png: bytes,
) -> None:
    turns_of_the_loop = 0
    turns_while_predicting = 0

    class Waiting(FakeEngine):
        def predict(self, batch: np.ndarray) -> np.ndarray:
            nonlocal turns_while_predicting
            until = time.monotonic() + 5
            while turns_of_the_loop < 10 and time.monotonic() < until:
                time.sleep(0.001)
            turns_while_predicting = turns_of_the_loop
            return super().predict(batch)

    service = service_of(Waiting())
    await service.start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.classify, png, service.classifier)
        for _ in range(10):
            await anyio.sleep(0.001)
            turns_of_the_loop += 1
    assert turns_while_predicting == 10


async def test_a_bug_while_loading_fails_the_service_with_its_trace_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def load(_: Settings) -> Classifier:
        raise ZeroDivisionError

    service = Service(read_settings(), load)
    await service.start()
    assert service.status == "failed"
    (record,) = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_calls_never_overlap_not_even_after_one_was_given_up(png: bytes) -> None:
    engine = StuckEngine()
    service = service_of(engine)
    await service.start()
    running = asyncio.create_task(service.classify(png, service.classifier))
    await anyio.to_thread.run_sync(engine.begun.wait, 5)
    queued = asyncio.create_task(service.classify(png, service.classifier))
    await anyio.sleep(0.05)
    for task in (running, queued):
        task.cancel()
    last = asyncio.create_task(service.classify(png, service.classifier))
    await anyio.sleep(0.05)
    engine.released.set()
    assert (await last).label == "PNEUMONIA"
    assert engine.most == 1
    assert len(engine.batches) == 2, "what was given up in the queue was run all the same"
