"""The model's life in the process, and the road of one upload through it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import anyio
from anyio import CapacityLimiter, to_thread

from app.xray.errors import CxrError, DeadlineExceeded, NotReady
from app.xray.preprocess import preprocess

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.classifier import Classifier, Prediction
    from app.settings import Settings

log = logging.getLogger(__name__)

Status = Literal["loading", "ready", "draining", "failed"]

DECODING_THREADS = 4


class Service:
    """Loads a classifier once and runs uploads through it, off the event loop.

    `load` is injected: it takes seconds and runs in a thread. Pictures are decoded by a few
    threads; the model runs in one at a time.
    """

    def __init__(self, settings: Settings, load: Callable[[Settings], Classifier]) -> None:
        self.settings = settings
        self.status: Status = "loading"
        self.failure: CxrError | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._load = load
        self._classifier: Classifier | None = None
        self._decoding = CapacityLimiter(DECODING_THREADS)
        self._inference = CapacityLimiter(1)

    @property
    def loaded(self) -> Classifier | None:
        """The model if there is one, whatever the status."""
        return self._classifier

    @property
    def classifier(self) -> Classifier:
        """The model to answer with.

        Raises:
            NotReady: there is none yet, or no longer.
        """
        if self._classifier is None or self.status != "ready":
            raise NotReady(f"The service is {self.status}; try again shortly.")
        return self._classifier

    async def start(self) -> None:
        """Load the model; "ready" after its warm-up, "failed" where it cannot be served."""
        try:
            self._classifier = await to_thread.run_sync(self._load, self.settings)
        except CxrError as error:
            self.status, self.failure = "failed", error
            log.critical("cannot serve the model: %s", error)
            self.on_failure()
            return
        self.status = "ready"
        checkpoint, engine = self._classifier.checkpoint, self._classifier.engine
        log.info(
            "ready: %s (sha256 %s), engine %s on %s%s",
            checkpoint.path,
            checkpoint.sha256[:12],
            engine.name,
            engine.device,
            "" if checkpoint.contract.is_calibrated else ", uncalibrated",
        )

    async def classify(self, data: bytes) -> Prediction:
        """The prediction for one uploaded file.

        Raises:
            SenderError: as `preprocess`.
            NotReady: no model is loaded.
            DeadlineExceeded: not done within `request_timeout_s`.
        """
        classifier = self.classifier
        try:
            with anyio.fail_after(self.settings.request_timeout_s):
                pixels = await to_thread.run_sync(
                    lambda: preprocess(
                        data, classifier.contract, max_pixels=self.settings.max_pixels
                    ),
                    limiter=self._decoding,
                    abandon_on_cancel=True,
                )
                predictions = await to_thread.run_sync(
                    classifier.predict,
                    pixels[None],
                    limiter=self._inference,
                    abandon_on_cancel=True,
                )
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"No answer within {self.settings.request_timeout_s:g} s; try again."
            ) from error
        return predictions[0]

    def stop(self) -> None:
        """Take no further requests; those under way are finished by the server."""
        self.status = "draining"
