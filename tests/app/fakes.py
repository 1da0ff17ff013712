"""A service whose model answers what a test tells it to, at once."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import numpy as np

from app.inference.classifier import Classifier
from app.inference.engines.engine import Batching, Output
from app.main import create_app
from app.settings import read_settings
from app.xray.checkpoint import Checkpoint
from app.xray.contract import ModelContract
from app.xray.gate import FeatureGate, PackedArray
from tests import waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fastapi import FastAPI

    from app.settings import Settings

SHA256 = "5" * 64


class FakeEngine:
    """Gives `answer`, probabilities in contract order, for every picture.

    Its map has 2 x 3 places and a channel for each class. Each class's is bright in one place, the
    first class's in the first, and speaks for that class alone.
    """

    name = "fake"
    device = "cpu"
    precision = "f32"
    layout = "channels first"
    held_against = "known answers"
    largest_difference = 0.00025
    batching = Batching(max_size=8)

    def __init__(self, answer: tuple[float, ...] = (0.02, 0.05, 0.93)) -> None:
        self.answer = answer
        self.batches: list[np.ndarray] = []

    def predict(self, batch: np.ndarray, *, with_features: bool = False) -> Output:
        self.batches.append(batch)
        count, classes = len(batch), len(self.answer)
        probabilities = np.tile(np.array(self.answer, np.float32), (count, 1))
        if not with_features:
            return Output(probabilities)
        feature_map = np.eye(6, classes, dtype=np.float32).reshape(1, 2, 3, classes)
        pooled = np.ones((count, classes), np.float32)
        return Output(probabilities, np.repeat(feature_map, count, axis=0), pooled)

    def gradients(self, pooled: np.ndarray) -> np.ndarray:
        return np.tile(np.eye(len(self.answer), dtype=np.float32), (len(pooled), 1, 1))


class BrightnessEngine(FakeEngine):
    """Its map holds nothing but the mean brightness of the picture, 0 to 1, in every channel."""

    def predict(self, batch: np.ndarray, *, with_features: bool = False) -> Output:
        output = super().predict(batch, with_features=with_features)
        means = batch.mean(axis=(1, 2, 3))[:, None, None, None]
        return output._replace(feature_map=np.tile(means, (1, 2, 3, len(self.answer))))


def gate_at(brightness: float, within: float) -> FeatureGate:
    """The gate for a `BrightnessEngine` of three classes; the score is how far a picture is off."""
    return FeatureGate(
        mean=PackedArray.pack(np.full(6, brightness)),
        scale=PackedArray.pack(np.ones(6)),
        axes=PackedArray.pack(np.eye(6)[:1]),
        variances=PackedArray.pack(np.ones(1)),
        rest=1.0,
        threshold=within,
        refused_on_val=0.01,
    )


class StuckEngine(FakeEngine):
    """Answers only once it is released; knows how many calls ran at once at the most."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.released = threading.Event(), threading.Event()
        self.running = self.most = 0

    def predict(self, batch: np.ndarray, *, with_features: bool = False) -> Output:
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun.set()
        self.released.wait(waiting.LIMIT_S)
        self.running -= 1
        return super().predict(batch, with_features=with_features)


@asynccontextmanager
async def full_queue(png: bytes) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that is running one upload, with another in its queue of one."""
    engine = StuckEngine()
    app = fake_app(lambda _: fake_classifier(engine), max_queue=1)
    async with client_of(app) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(client.post, "/predict", content=png))
        await waiting.until(engine.begun.is_set)
        tasks.start_soon(partial(client.post, "/predict", content=png))
        await waiting.until(lambda: app.state.service.pipeline.waiting == 1)
        yield client
        engine.released.set()


async def never_read() -> AsyncIterator[bytes]:
    """A body that has to be refused before any of it is asked for."""
    raise AssertionError("it was read, and refused all the same")
    yield b""


def fake_classifier(
    engine: FakeEngine | None = None, *, policy: Any = "refuse", **contract: Any
) -> Classifier:
    """A classifier over a fake engine; `contract` replaces fields of 2022's."""
    fields = {**ModelContract.recipe_of_2022().model_dump(), **contract}
    checkpoint = Checkpoint(
        path=Path("models/fake.h5"),
        sha256=SHA256,
        contract=ModelContract.model_validate(fields),
    )
    return Classifier(checkpoint, engine or FakeEngine(), ood=policy)


class SlowLoad:
    """Loads a fake classifier once it is told to finish."""

    def __init__(self) -> None:
        self.begun, self._finished = threading.Event(), threading.Event()

    def __call__(self, _: Settings) -> Classifier:
        self.begun.set()
        self._finished.wait(waiting.LIMIT_S)
        return fake_classifier()

    def finish(self) -> None:
        self._finished.set()


def fake_app(
    load: Callable[[Settings], Classifier] = lambda _: fake_classifier(), **settings: Any
) -> FastAPI:
    """The application, its model faked."""
    return create_app(read_settings(**settings), load=load)


@asynccontextmanager
async def client_of(
    app: FastAPI, *, until: str | None = "ready"
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app` within its lifespan, once its status is `until`."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await waiting.until(lambda: until in {None, app.state.service.status})
            yield client
