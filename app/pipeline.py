"""The road of one upload through a loaded model, off the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from app.batching import MicroBatcher
from app.xray.preprocess import preprocess

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from app.classifier import Classifier, Prediction
    from app.settings import Settings


class Pipeline:
    """Decodes in the threads of `decoding`, then runs the model in threads of its own.

    How many those are, how large batches are and how long they wait for more is the engine's to
    say, unless the settings do.
    """

    def __init__(self, classifier: Classifier, settings: Settings, decoding: Executor) -> None:
        self.classifier = classifier
        self._max_pixels = settings.max_pixels
        self._decoding = decoding
        batching, wait_ms = classifier.engine.batching, settings.max_wait_ms
        self._inference = ThreadPoolExecutor(batching.threads, "inference")
        self._batcher: MicroBatcher[Prediction] = MicroBatcher(
            classifier.predict,
            self._inference,
            max_queue=settings.max_queue,
            max_size=settings.max_batch_size or batching.max_size,
            max_wait_s=batching.max_wait_s if wait_ms is None else wait_ms / 1000,
            max_running=batching.threads + batching.ahead,
        )

    @property
    def waiting(self) -> int:
        """Uploads that wait for the model, decoded or not."""
        return self._batcher.waiting

    @property
    def prepared(self) -> int:
        """Uploads that are decoded and wait for the model."""
        return self._batcher.prepared

    async def classify(self, data: bytes) -> Prediction:
        """What the model says of one uploaded file.

        Raises:
            QueueFull: too many uploads wait already; this one was not looked at.
            SenderError: as `preprocess`.
        """
        loop = asyncio.get_running_loop()
        return await self._batcher.submit(
            lambda: loop.run_in_executor(self._decoding, self._decode, data)
        )

    def close(self) -> None:
        """Let the threads go; what is still queued is dropped."""
        self._inference.shutdown(wait=False, cancel_futures=True)

    def _decode(self, data: bytes) -> NDArray[np.float32]:
        return preprocess(data, self.classifier.contract, max_pixels=self._max_pixels)
