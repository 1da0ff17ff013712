from __future__ import annotations

import asyncio
import io
import threading
import time
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from PIL import Image, ImageOps

from app.inference.batching import QueueFull
from app.inference.decoder_pool import Decoding
from app.inference.engines.engine import Batching
from app.inference.pipeline import Pipeline
from app.settings import read_settings
from app.xray.errors import MalformedRequest, NotAChestXray, UnusableImage
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.app.fakes import BrightnessEngine, FakeEngine, StuckEngine, fake_classifier, gate_at

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
        with anyio.fail_after(5):
            while pipeline.prepared < 8:  # noqa: ASYNC110
                await anyio.sleep(0.001)
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
    await anyio.sleep(0.05)
    for task in (running, queued):
        task.cancel()
    last = asyncio.create_task(pipeline.classify(png))
    await anyio.sleep(0.05)
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
            until = time.monotonic() + 5
            while turns_of_the_loop < 10 and time.monotonic() < until:
                time.sleep(0.001)
            turns_while_predicting = turns_of_the_loop
            return super().predict(batch, with_features=with_features)

    pipeline = pipeline_of(Waiting())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pipeline.classify, png)
        for _ in range(10):
            await anyio.sleep(0.001)
            turns_of_the_loop += 1
    assert turns_while_predicting == 10


@pytest.mark.parametrize(
    ("policy", "warnings"),
    [pytest.param("warn", 2, id="warn"), pytest.param("off", 1, id="off")],
)
async def test_a_picture_of_something_else_is_refused_unless_the_settings_say_otherwise(
    policy: str, warnings: int, png: bytes
) -> None:
    def pipeline(policy: str) -> Pipeline:
        gate = gate_at(0.5, within=0.001)
        classifier = fake_classifier(BrightnessEngine(), policy=policy, ood=gate)
        return Pipeline(classifier, read_settings(ood=policy), Decoding(read_settings()))

    with pytest.raises(NotAChestXray, match="does not look like a frontal chest X-ray") as refused:
        await pipeline("refuse").classify(png)
    assert refused.value.score > refused.value.threshold == pytest.approx(0.001)
    with pytest.raises(NotAChestXray):
        await pipeline("refuse").explain(png)
    answered = await pipeline(policy).classify(png)
    assert answered.label == "PNEUMONIA"
    assert len(answered.warnings) == warnings


async def test_what_a_dicom_file_says_of_its_view_comes_with_the_answer() -> None:
    data = write_dicom(np.asarray(draw_radiograph()), ViewPosition="LL")
    prediction = await pipeline_of().classify(data)
    assert "lateral" in prediction.warnings[0]


async def test_an_explanation_is_the_picture_at_its_own_aspect_with_a_legend() -> None:
    wide = encode(draw_radiograph(size=(800, 400)))
    prediction, file = await pipeline_of().explain(wide)
    picture = Image.open(io.BytesIO(file))
    assert prediction.label == "PNEUMONIA"
    assert (picture.format, picture.mode, picture.width) == ("PNG", "RGB", 320)
    assert picture.height > 160


async def test_another_class_lights_up_another_place(png: bytes) -> None:
    files = [(await pipeline_of().explain(png, name)).png for name in ("COVID", "PNEUMONIA")]
    covid, pneumonia = (np.asarray(Image.open(io.BytesIO(file)), float) for file in files)
    redness = covid[..., 0] - pneumonia[..., 0]
    left, right = redness[:100, :60].mean(), redness[:100, -60:].mean()
    assert left > 0 > right


async def test_an_unknown_class_is_the_senders_fault(png: bytes) -> None:
    engine = FakeEngine()
    with pytest.raises(MalformedRequest, match="it knows COVID, NORMAL, PNEUMONIA"):
        await pipeline_of(engine).explain(png, "covid")
    assert engine.batches == []


async def test_the_explanation_of_a_negative_shows_what_was_answered() -> None:
    dark = Image.new("L", (300, 300), 40)
    files = []
    for picture in (dark, ImageOps.invert(dark)):
        classifier = fake_classifier(BrightnessEngine(), ood=gate_at(40 / 255, within=0.1))
        pipeline = Pipeline(classifier, read_settings(), Decoding(read_settings()))
        files.append((await pipeline.explain(encode(picture))).png)
    assert files[0] == files[1]


async def test_in_layers_the_picture_stands_apart_from_the_heat_of_every_class() -> None:
    wide = draw_radiograph(size=(800, 400))
    prediction, file, heat = await pipeline_of().explain_in_layers(encode(wide))
    picture = Image.open(io.BytesIO(file))
    layers = {name: Image.open(io.BytesIO(png)) for name, png in heat.items()}
    assert (prediction.label, picture.mode, picture.size) == ("PNEUMONIA", "L", (640, 320))
    assert {(layer.mode, layer.size) for layer in layers.values()} == {("RGBA", (160, 80))}
    opacity = {name: np.asarray(layer)[..., 3] for name, layer in layers.items()}
    assert [*opacity] == ["COVID", "NORMAL", "PNEUMONIA"]
    # Of the 2 x 3 places the first speaks for COVID alone, the last but none for PNEUMONIA.
    assert opacity["COVID"][:25, :25].mean() > 200 > 20 > opacity["COVID"][50:].mean()
    assert opacity["PNEUMONIA"][:25, -25:].mean() > 200


async def test_in_layers_a_negative_is_shown_as_it_was_answered() -> None:
    dark = Image.new("L", (300, 300), 40)
    classifier = fake_classifier(BrightnessEngine(), ood=gate_at(40 / 255, within=0.1))
    pipeline = Pipeline(classifier, read_settings(), Decoding(read_settings()))
    found = await pipeline.explain_in_layers(encode(ImageOps.invert(dark)))
    assert Image.open(io.BytesIO(found.picture)).getextrema() == (40, 40)
