"""The road of one upload through a loaded model, off the event loop."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from app.inference.batching import MicroBatcher
from app.inference.decoder_pool import TakesLong
from app.inference.explain import explain, explain_in_layers
from app.inference.overlay import PAGE_SIDE, SIDE
from app.runtime.devices import step_back
from app.runtime.metrics import Metrics
from app.xray.errors import InferenceStopped, MalformedRequest, NotAChestXray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from app.inference.batching import Place
    from app.inference.classifier import Classifier, Prediction
    from app.inference.decoder_pool import Decoded, Decoding
    from app.inference.explain import Explanation, LayeredExplanation
    from app.settings import Settings

T = TypeVar("T")


class Pipeline:
    """Decodes by `decoding`, then runs the model in threads of its own.

    How many those are, how large batches are and how long they wait for more is the engine's to
    say, unless the settings do.
    """

    def __init__(
        self,
        classifier: Classifier,
        settings: Settings,
        decoding: Decoding,
        metrics: Metrics | None = None,
    ) -> None:
        self.classifier = classifier
        self._metrics = metrics or Metrics()
        self._refuses = settings.ood == "refuse"
        self._decoding = decoding
        # What decoding needs of the contract, which travels to other processes.
        self._contract = classifier.contract.model_copy(update={"ood": None})
        batching, wait_ms = classifier.engine.batching, settings.max_wait_ms
        self._inference = ThreadPoolExecutor(batching.threads, "inference", step_back)
        self._batcher: MicroBatcher[Prediction] = MicroBatcher(
            classifier.predict,
            self._inference,
            max_queue=settings.max_queue,
            max_size=settings.max_batch_size or batching.max_size,
            max_wait_s=batching.max_wait_s if wait_ms is None else wait_ms / 1000,
            max_running=batching.threads + batching.ahead,
            on_batch=self._metrics.count_batch,
            on_item=self._metrics.count_item,
        )
        self._users = 0
        self._is_retired = False

    @property
    def waiting(self) -> int:
        """Uploads that wait for the model, decoded or not."""
        return self._batcher.waiting

    @property
    def prepared(self) -> int:
        """Uploads that are decoded and wait for the model."""
        return self._batcher.prepared

    def refuse_when_full(self) -> None:
        """Raise `QueueFull` where an upload would find no place, before it is read."""
        self._batcher.refuse_when_full()

    @contextmanager
    def in_use(self) -> Iterator[Self]:
        """Keep the threads for the length of one request, though the pipeline be retired."""
        self._users += 1
        try:
            yield self
        finally:
            self._users -= 1
            self._close_when_done()

    async def check(self, *, within_s: float) -> None:
        """Have the model answer a canary, behind what its threads are running.

        Raises:
            InferenceStopped: no answer within `within_s`, or a batch has been running for longer.
            CheckpointError, EngineError: the answer is no probabilities of the classes.
        """
        longest_s = self._batcher.longest_run_s
        if longest_s > within_s:
            raise InferenceStopped(f"a batch has been running for {longest_s:.0f} s")
        canary = asyncio.get_running_loop().run_in_executor(
            self._inference, self.classifier.answer_canary
        )
        try:
            await asyncio.wait_for(canary, within_s)
        except TimeoutError as error:
            raise InferenceStopped(f"no answer to a canary within {within_s:g} s") from error
        except asyncio.CancelledError:
            # Retired while the canary waited: the next pipeline is checked in its place.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise

    async def classify(self, data: bytes) -> Prediction:
        """What the model says of one uploaded file.

        Raises:
            QueueFull: too many uploads wait already; this one was not looked at.
            SenderError: as `decode`; `NotAChestXray` where the settings say that such are refused.
        """
        prediction, _ = await self._classify(data)
        return prediction

    async def classify_input(self, model_input: NDArray[np.float32]) -> Prediction:
        """What the model says of one model input, float32 (height, width, channels), as it is.

        Raises:
            QueueFull, NotAChestXray: as `classify`.
        """
        with self._batcher.place() as place:
            return self._judge(await place.submit(model_input))

    async def in_process(self, work: Callable[..., T], *arguments: object) -> T:
        """What `work` makes of `arguments`, where what was sent may make it take long.

        Raises as `app.inference.decoder_pool.Decoding.in_process`.
        """
        return await self._decoding.in_process(work, *arguments)

    async def explain(self, data: bytes, name: str | None = None) -> Explanation:
        """The same, and the picture with the heat map of the class `name` laid over it.

        None is the class that the model finds likeliest.

        Raises:
            MalformedRequest: the model knows no such class.
            NotExplainable: its answers cannot be led back to places.
            QueueFull, SenderError: as `classify`.
        """
        classes = self.classifier.contract.classes
        if name is not None and name not in classes:
            raise MalformedRequest(f"The model knows no such class; it knows {', '.join(classes)}.")
        prediction, picture = await self._classify(data, SIDE)
        return await self._draw(explain, prediction, picture, name or prediction.label)

    async def explain_in_layers(self, data: bytes) -> LayeredExplanation:
        """The same of every class, apart from the picture, for a page to lay over it.

        There is no heat where the model's answers cannot be led back to places.

        Raises:
            QueueFull, SenderError: as `classify`.
        """
        prediction, picture = await self._classify(data, PAGE_SIDE)
        return await self._draw(explain_in_layers, prediction, picture)

    def retire(self) -> None:
        """Let the threads go once the last request is answered that is using them."""
        self._is_retired = True
        self._close_when_done()

    def abandon(self, error: Exception) -> None:
        """Answer all that wait with `error`, and wait for no thread any more."""
        self._batcher.abandon(error)
        self.close()

    def close(self) -> None:
        """Let the threads go; what is still queued is dropped."""
        self._inference.shutdown(wait=False, cancel_futures=True)

    def _close_when_done(self) -> None:
        if self._is_retired and not self._users:
            self.close()

    async def _classify(
        self, data: bytes, picture_side: int | None = None
    ) -> tuple[Prediction, Image.Image | None]:
        """What the model says of a file, and the picture for display that was asked for."""
        with self._batcher.place() as place:
            await place.turn()
            decoded = await self._decode(data, picture_side, place)
            prediction = await place.submit(decoded.model_input)
        if decoded.warnings:
            warnings = decoded.warnings + prediction.warnings
            prediction = dataclasses.replace(prediction, warnings=warnings)
        return self._judge(prediction), decoded.picture

    async def _decode(
        self, data: bytes, picture_side: int | None, place: Place[Prediction]
    ) -> Decoded:
        """Decode in a thread or, where that may take long, in a process beside the line."""
        begun = time.perf_counter()
        try:
            decoded = await self._decoding.quickly(data, self._contract, picture_side=picture_side)
        except TakesLong:
            place.step_aside()
        else:
            self._metrics.count_stage("decode", time.perf_counter() - begun)
            return decoded
        with self._metrics.stage("decode"):
            return await self._decoding.apart(data, self._contract, picture_side=picture_side)

    def _judge(self, prediction: Prediction) -> Prediction:
        """The prediction as it is answered, counted, unless the gate refuses its picture."""
        verdict = prediction.verdict
        if verdict:
            self._metrics.count_score(*verdict)
        if self._refuses and verdict and verdict.is_strange:
            raise NotAChestXray(*verdict)
        self._metrics.count_answer(
            prediction.label, prediction.confidence, uncertain=prediction.uncertain
        )
        return prediction

    async def _draw(
        self,
        draw: Callable[..., T],
        prediction: Prediction,
        picture: Image.Image | None,
        *arguments: str,
    ) -> T:
        loop = asyncio.get_running_loop()
        work = partial(draw, self.classifier, prediction, picture, *arguments)
        with self._metrics.stage("explain"):
            return await loop.run_in_executor(self._decoding.threads, work)
