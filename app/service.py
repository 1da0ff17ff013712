"""The model's life in the process, and the road of one upload through it."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal

from app.xray.errors import CxrError, DeadlineExceeded, NotReady
from app.xray.preprocess import preprocess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import numpy as np
    from numpy.typing import NDArray

    from app.classifier import Classifier, Prediction
    from app.settings import Settings

log = logging.getLogger(__name__)

Status = Literal["loading", "ready", "draining", "failed"]

DECODING_THREADS: Final = 4


class Service:
    """Loads a classifier once and runs uploads through it, off the event loop.

    `load` is injected: it takes seconds and runs in a thread. A few threads decode pictures; one
    runs the model, so that calls never overlap, not even when a request has been given up.
    """

    def __init__(self, settings: Settings, load: Callable[[Settings], Classifier]) -> None:
        self.settings = settings
        self.status: Status = "loading"
        self.failure: Exception | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._load = load
        self._classifier: Classifier | None = None
        self._decoding = ThreadPoolExecutor(DECODING_THREADS, "decoding")
        self._inference = ThreadPoolExecutor(1, "inference")

    @property
    def loaded(self) -> Classifier | None:
        """The model if there is one, whatever the status."""
        return self._classifier

    @property
    def classifier(self) -> Classifier:
        """The model to answer a new request with.

        Raises:
            NotReady: there is none yet, or no longer.
        """
        if self._classifier is None or self.status != "ready":
            raise NotReady(f"The service is {self.status}; try again shortly.")
        return self._classifier

    async def start(self) -> None:
        """Load the model; "ready" after its warm-up, "failed" where it cannot be served."""
        loop = asyncio.get_running_loop()
        try:
            self._classifier = await loop.run_in_executor(
                self._inference, self._load, self.settings
            )
        except Exception as error:  # whatever it was, the service must not stay "loading"
            self.failure = error
            self._leave_loading("failed")
            trace = None if isinstance(error, CxrError) else error
            log.critical("cannot serve the model: %s", error, exc_info=trace)
            self.on_failure()
            return
        self._leave_loading("ready")
        checkpoint, engine = self._classifier.checkpoint, self._classifier.engine
        log.info(
            "loaded %s (sha256 %s), engine %s on %s%s",
            checkpoint.path,
            checkpoint.sha256[:12],
            engine.name,
            engine.device,
            "" if checkpoint.contract.is_calibrated else ", uncalibrated",
        )

    def _leave_loading(self, status: Status) -> None:
        if self.status == "loading":  # and not draining already
            self.status = status

    async def classify(self, data: bytes, classifier: Classifier) -> Prediction:
        """What `classifier`, as it was when the request came, says of one uploaded file.

        Raises:
            SenderError: as `preprocess`.
        """
        max_pixels = self.settings.max_pixels

        def decode() -> NDArray[np.float32]:
            return preprocess(data, classifier.contract, max_pixels=max_pixels)

        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._decoding, decode)
        predictions = await loop.run_in_executor(self._inference, classifier.predict, pixels[None])
        return predictions[0]

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Give the block, reading the upload included, `request_timeout_s`.

        What is queued for a thread is taken out again; what a thread has begun it finishes.

        Raises:
            DeadlineExceeded: it was not enough.
        """
        seconds = self.settings.request_timeout_s
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise DeadlineExceeded(f"No answer within {seconds:g} s; try again.") from error

    def stop(self) -> None:
        """Take no further requests; those under way are finished by the server."""
        self.status = "draining"

    def close(self) -> None:
        """Let the threads go; what is still queued is dropped."""
        for executor in (self._decoding, self._inference):
            executor.shutdown(wait=False, cancel_futures=True)
