"""The model's life in the process."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal

from app.devices import usable_cpus
from app.pipeline import Pipeline
from app.xray.errors import CxrError, DeadlineExceeded, NotReady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from app.classifier import Classifier
    from app.settings import Settings

log = logging.getLogger(__name__)

Status = Literal["loading", "ready", "draining", "failed"]

_MIN_DECODING_THREADS: Final = 2
"""So that one picture that takes long does not hold up all others."""


class Service:
    """Loads a classifier once, and has the threads that decode: as many as there are CPUs.

    `load` is injected: it takes long and runs in a thread.
    """

    def __init__(self, settings: Settings, load: Callable[[Settings], Classifier]) -> None:
        self.settings = settings
        self.status: Status = "loading"
        self.failure: Exception | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._load = load
        self._pipeline: Pipeline | None = None
        self._loading = ThreadPoolExecutor(1, "loading")
        threads = max(_MIN_DECODING_THREADS, usable_cpus())
        self._decoding = ThreadPoolExecutor(threads, "decoding")

    @property
    def loaded(self) -> Classifier | None:
        """The model if there is one, whatever the status."""
        return self._pipeline.classifier if self._pipeline else None

    @property
    def pipeline(self) -> Pipeline:
        """The road for a new request.

        Raises:
            NotReady: there is no model yet, or no longer.
        """
        if self._pipeline is None or self.status != "ready":
            raise NotReady(f"The service is {self.status}; try again shortly.")
        return self._pipeline

    async def start(self) -> None:
        """Load the model; "ready" after its warm-up, "failed" where it cannot be served."""
        loop = asyncio.get_running_loop()
        try:
            classifier = await loop.run_in_executor(self._loading, self._load, self.settings)
        except Exception as error:  # whatever it was, the service must not stay "loading"
            self.failure = error
            self._leave_loading("failed")
            trace = None if isinstance(error, CxrError) else error
            log.critical("cannot serve the model: %s", error, exc_info=trace)
            self.on_failure()
            return
        self._pipeline = Pipeline(classifier, self.settings, self._decoding)
        self._leave_loading("ready")
        checkpoint, engine = classifier.checkpoint, classifier.engine
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
        for executor in (self._loading, self._decoding):
            executor.shutdown(wait=False, cancel_futures=True)
        if self._pipeline:
            self._pipeline.close()
