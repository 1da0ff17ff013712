from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import pytest

from app.inference.lifecycle import Service
from app.settings import VERSION, Settings, read_settings
from app.xray.errors import CheckpointMissing, NotReady
from tests.app.fakes import FakeEngine, SlowLoad, fake_classifier
from tests.waiting import until

if TYPE_CHECKING:
    from app.inference.classifier import Classifier

pytestmark = pytest.mark.anyio


def service_of(engine: FakeEngine | None = None, **settings: object) -> Service:
    return Service(read_settings(**settings), lambda _: fake_classifier(engine))


async def test_a_service_is_loading_then_ready_then_draining() -> None:
    load = SlowLoad()
    service = Service(read_settings(), load)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.start)
        await until(load.begun.is_set)
        assert service.status == "loading"
        with pytest.raises(NotReady, match="loading"):
            _ = service.pipeline
        load.finish()
    assert service.status == "ready"
    service.drain()
    assert service.status == "draining"
    _ = service.pipeline
    service.stop()
    assert service.status == "draining"
    with pytest.raises(NotReady, match="draining"):
        _ = service.pipeline


async def test_one_that_drains_serves_but_takes_no_other_checkpoint(png: bytes) -> None:
    service = service_of()
    await service.start()
    service.drain()
    assert service.refusal() is None
    assert (await service.pipeline.classify(png)).label == "PNEUMONIA"
    with pytest.raises(NotReady, match="draining"):
        await service.reload()


async def test_a_model_that_comes_while_the_service_drains_serves_until_it_is_over() -> None:
    load = SlowLoad()
    service = Service(read_settings(), load)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.start)
        await anyio.sleep(0.01)
        service.drain()
        with pytest.raises(NotReady, match="draining"):
            _ = service.pipeline
        load.finish()
    assert service.status == "draining"
    assert service.refusal() is None


async def test_one_line_says_what_serves_to_whom_and_within_which_limits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    await service_of(api_keys="secret", max_queue=7).start()
    (line,) = [r for r in caplog.records if r.getMessage().startswith("serving: ")]
    assert line.getMessage() == (
        f"serving: version {VERSION}, engine fake, device cpu, precision f32, keys yes, gate none, "
        "max_upload_mb 101.0, max_pixels 50000000, max_queue 7, max_connections 512, "
        "request_timeout_s 30.0"
    )
    assert getattr(line, "max_queue", None) == 7


async def test_a_service_told_to_end_while_loading_does_not_become_ready() -> None:
    load = SlowLoad()
    service = Service(read_settings(), load)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.start)
        await until(load.begun.is_set)
        service.stop()
        load.finish()
    assert service.status == "draining"


async def test_an_upload_accepted_before_the_end_is_still_answered(png: bytes) -> None:
    service = service_of()
    await service.start()
    pipeline = service.pipeline
    service.stop()
    assert (await pipeline.classify(png)).label == "PNEUMONIA"


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


async def test_who_waits_for_the_model_goes_on_when_it_is_there() -> None:
    load = SlowLoad()
    service = Service(read_settings(), load)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.start)
        with pytest.raises(TimeoutError), anyio.fail_after(0.05):
            await service.wait_until_loaded()
        load.finish()
        with anyio.fail_after(5):
            await service.wait_until_loaded()
        assert service.status == "ready"


async def test_who_waits_for_a_model_that_cannot_be_served_is_told_why() -> None:
    def load(_: Settings) -> Classifier:
        raise CheckpointMissing("models/x.h5: no such file")

    service = Service(read_settings(), load)
    await service.start()
    with pytest.raises(CheckpointMissing):
        await service.wait_until_loaded()


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
