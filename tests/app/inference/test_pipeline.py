from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from app.inference.batching import QueueFull
from app.inference.decoder_pool import Decoding
from app.inference.engines.engine import Batching
from app.inference.pipeline import Pipeline
from app.settings import read_settings
from app.xray.errors import UnusableImage
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph
from tests.app.fakes import FakeEngine, StuckEngine, fake_classifier
from tests.waiting import until, wait_until

if TYPE_CHECKING:
    from app.inference.engines.engine import Output

pytestmark = pytest.mark.anyio


def pipeline_of(engine: FakeEngine | None = None, **settings: object) -> Pipeline:
    return Pipeline(fake_classifier(engine), read_settings(**settings), Decoding(read_settings()))


async def test_an_upload_goes_the_whole_road(png: bytes) -> None:
    engine = FakeEngine()
    prediction = await pipeline_of(engine).classify(png)
    assert prediction.label == "PNEUMONIA"
    (batch,) = engine.batches
    assert (batch.shape, batch.dtype) == ((1, 224, 224, 3), "float32")
    assert 0 <= batch.min() < batch.max() <= 1


async def test_a_bad_upload_raises_and_the_next_is_answered(png: bytes) -> None:
    pipeline = pipeline_of()
    with pytest.raises(UnusableImage):
        await pipeline.classify(png[:100])
    assert (await pipeline.classify(png)).label == "PNEUMONIA"


async def test_uploads_that_wait_are_run_together_as_many_as_the_engine_likes(png: bytes) -> None:
    engine = StuckEngine()
    pipeline = pipeline_of(engine)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pipeline.classify, png)
        await anyio.to_thread.run_sync(engine.begun.wait, 5)
        for _ in range(9):
            tasks.start_soon(pipeline.classify, png)
        await until(lambda: pipeline.prepared == 8)
        engine.released.set()
    assert [len(batch) for batch in engine.batches] == [1, 8, 1]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"max_batch_size": 2}, [2, 2]), ({"max_batch_size": 4}, [4])],
    ids=["two-at-once", "four-at-once"],
)
async def test_the_settings_go_before_the_engine(
    settings: dict[str, object], expected: list[int], png: bytes
) -> None:
    engine = FakeEngine()
    pipeline = pipeline_of(engine, max_wait_ms=5000, **settings)
    await asyncio.gather(*(pipeline.classify(png) for _ in range(4)))
    assert [len(batch) for batch in engine.batches] == expected


async def test_the_model_runs_in_as_many_threads_as_the_engine_allows(png: bytes) -> None:
    class Paired(FakeEngine):
        batching = Batching(threads=2, ahead=1)
        both = threading.Barrier(2, timeout=5)

        def predict(self, batch: np.ndarray, *, with_features: bool = False) -> Output:
            self.both.wait()
            return super().predict(batch, with_features=with_features)

    engine = Paired()
    pipeline = pipeline_of(engine)
    await asyncio.gather(*(pipeline.classify(png) for _ in range(12)))
    assert len(engine.batches) == 12


async def test_calls_never_overlap_not_even_after_one_was_given_up(png: bytes) -> None:
    engine = StuckEngine()
    pipeline = pipeline_of(engine)
    running = asyncio.create_task(pipeline.classify(png))
    await anyio.to_thread.run_sync(engine.begun.wait, 5)
    queued = asyncio.create_task(pipeline.classify(png))
    await until(lambda: pipeline.prepared == 1)
    for task in (running, queued):
        task.cancel()
    last = asyncio.create_task(pipeline.classify(png))
    await until(lambda: pipeline.prepared == 1)
    engine.released.set()
    assert (await last).label == "PNEUMONIA"
    assert engine.most == 1
    assert len(engine.batches) == 2, "what was given up in the queue was run all the same"


async def test_a_full_queue_refuses(png: bytes) -> None:
    engine = StuckEngine()
    pipeline = pipeline_of(engine, max_queue=1)
    running = asyncio.create_task(pipeline.classify(png))
    await anyio.to_thread.run_sync(engine.begun.wait, 5)
    queued = asyncio.create_task(pipeline.classify(png))
    await anyio.lowlevel.checkpoint()
    with pytest.raises(QueueFull, match="1 requests are waiting already"):
        await pipeline.classify(png)
    engine.released.set()
    assert (await running).label == (await queued).label == "PNEUMONIA"


async def test_the_event_loop_is_free_while_a_picture_is_decoded_and_classified(
    png: bytes,
) -> None:
    turns_of_the_loop = 0
    turns_while_predicting = 0

    class Waiting(FakeEngine):
        def predict(self, batch: np.ndarray, *, with_features: bool = False) -> Output:
            nonlocal turns_while_predicting
            wait_until(lambda: turns_of_the_loop == 10)
            turns_while_predicting = turns_of_the_loop
            return super().predict(batch, with_features=with_features)

    pipeline = pipeline_of(Waiting())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pipeline.classify, png)
        for _ in range(10):
            await anyio.sleep(0.001)
            turns_of_the_loop += 1
    assert turns_while_predicting == 10


async def test_a_check_that_waits_as_its_pipeline_is_retired_ends_and_its_caller_goes_on() -> None:
    engine = StuckEngine()
    pipeline = pipeline_of(engine)
    threads = engine.batching.threads
    for _ in range(threads):
        pipeline._inference.submit(pipeline.classifier.answer_canary)
    await until(engine.begun.is_set)
    check = asyncio.create_task(pipeline.check(within_s=60))
    await asyncio.sleep(0)
    pipeline.close()
    await check
    engine.released.set()


async def test_a_check_that_is_cancelled_is_cancelled() -> None:
    engine = StuckEngine()
    check = asyncio.create_task(pipeline_of(engine).check(within_s=60))
    await until(engine.begun.is_set)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    engine.released.set()


async def test_what_a_dicom_file_says_of_its_view_comes_with_the_answer() -> None:
    data = write_dicom(np.asarray(draw_radiograph()), ViewPosition="LL")
    prediction = await pipeline_of().classify(data)
    assert "lateral" in prediction.warnings[0]
