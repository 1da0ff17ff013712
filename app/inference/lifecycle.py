"""The model's life in the process."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from app.inference import loading
from app.inference.batching import QueueFull
from app.inference.decoder_pool import Decoding
from app.inference.loading import Reload, load_in_a_thread
from app.inference.pipeline import Pipeline
from app.inference.watchdog import INTERVAL_S, watch
from app.runtime.metrics import Metrics
from app.xray.errors import (
    CxrError,
    InferenceStopped,
    NotReady,
    ReloadFailed,
    ReloadUnderWay,
    public_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from app.inference.classifier import Classifier
    from app.inference.loading import Load
    from app.settings import Settings

log = logging.getLogger(__name__)

State = Literal["loading", "ready", "failed"]
"""What has become of the model."""
Status = State | Literal["draining"]
"""The same, as health tells it: a service that leaves says so, whatever the model's state."""


class Service:
    """Loads a classifier, watches it, and puts another in its place when told to.

    `load` is injected: it takes long and runs in a thread. `is_alive` turns False where a model
    that broke could not be started anew: then only a new process helps.
    """

    def __init__(
        self,
        settings: Settings,
        load: Load,
        metrics: Metrics | None = None,
        *,
        watch_interval_s: float = INTERVAL_S,
    ) -> None:
        self.settings = settings
        self._state: State = "loading"
        self._is_leaving = self._is_stopped = False
        self.is_alive = True
        self.failure: Exception | None = None
        self.last_reload: Reload | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self.metrics = metrics or Metrics()
        self._load = load
        self._watch_interval_s = watch_interval_s
        self._pipeline: Pipeline | None = None
        self._decoding = Decoding(settings, self.metrics.count_decoder_death)
        self._is_begun = asyncio.Event()
        self._changing = asyncio.Lock()
        self._is_to_reload = False
        self._reloading: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.metrics.watch(
            waiting=lambda: self._pipeline.waiting if self._pipeline else 0,
            is_ready=lambda: self.status == "ready",
        )

    @property
    def status(self) -> Status:
        """What health says."""
        return "draining" if self._is_leaving else self._state

    @property
    def loaded(self) -> Classifier | None:
        """The model if there is one, whatever the status."""
        return self._pipeline.classifier if self._pipeline else None

    @property
    def pipeline(self) -> Pipeline:
        """The road for a new request; there is one while the service drains.

        Raises:
            NotReady: there is no model yet, or no longer.
        """
        if self._pipeline is None or self._state != "ready" or self._is_stopped:
            raise NotReady(f"The service is {self.status}; try again shortly.")
        return self._pipeline

    def refusal(self) -> NotReady | QueueFull | None:
        """Why an upload would be refused before a byte of it is read; None where it would not."""
        try:
            self.pipeline.refuse_when_full()
        except (NotReady, QueueFull) as error:
            return error
        return None

    async def start(self) -> None:
        """Load the model; "ready" after its warm-up, "failed" where it cannot be served."""
        try:
            classifier = await load_in_a_thread(self._load, self.settings)
        except Exception as error:  # whatever it was, the service must not stay "loading"
            self._fail("cannot serve the model", error)
            self.on_failure()
            return
        self._take("loaded", classifier)
        loading.say_terms(self.settings, classifier)
        self._in_background(watch(self._check, self._restart, interval_s=self._watch_interval_s))

    async def wait_until_loaded(self) -> None:
        """Return once the first attempt to load the model has ended.

        Raises:
            Exception: what it ended with, where the model cannot be served.
        """
        await self._is_begun.wait()
        if self.failure is not None:
            raise self.failure

    async def reload(self) -> Reload:
        """Load the checkpoint that stands at the settings' path now, and serve it from then on.

        Requests that are under way are answered by the model that they came to. Where the new one
        cannot be served, or has other classes, the old one goes on.

        Raises:
            NotReady: there is no model that it could take the place of, or the service drains.
            ReloadUnderWay: of another call, or the model is being started anew.
            ReloadFailed: it cannot be served; names the reason.
        """
        self._refuse_unless_ready()
        if self._changing.locked():
            raise ReloadUnderWay("Another checkpoint is being loaded; try again shortly.")
        async with self._changing:
            return await self._reload()

    def reload_soon(self) -> None:
        """Reload on a signal; a signal that comes meanwhile causes one more reload afterwards."""
        self._is_to_reload = True
        if self._reloading is None or self._reloading.done():
            self._reloading = self._in_background(self._reload_until_done())

    def drain(self) -> None:
        """Say by health that the service leaves; requests are served as before."""
        self._is_leaving = True

    def stop(self) -> None:
        """Take no further requests; those under way are finished by the server."""
        self._is_leaving = self._is_stopped = True

    def close(self) -> None:
        """Let tasks, threads and processes go; what is still queued is dropped."""
        for task in self._tasks:
            task.cancel()
        self._decoding.close()
        if self._pipeline:
            self._pipeline.close()

    async def _check(self) -> None:
        if self._pipeline is not None:
            await self._pipeline.check(within_s=self.settings.request_timeout_s)

    async def _restart(self, cause: Exception) -> bool:
        """A new engine for the same checkpoint; requests that wait for the old one are given up."""
        broken = self._pipeline
        assert broken is not None  # noqa: S101  # it was checked
        self._state = "loading"
        broken.abandon(InferenceStopped("The model does not answer and is started anew."))
        try:
            async with self._changing:
                classifier = await load_in_a_thread(
                    self._load, self.settings, broken.classifier.checkpoint
                )
        except Exception as error:
            error.__cause__ = error.__cause__ or cause
            self.is_alive = False
            self._fail("cannot start the model anew", error)
            return False
        self._take("started anew", classifier)
        return True

    async def _reload_until_done(self) -> None:
        while self._is_to_reload:
            async with self._changing:  # after what is under way
                self._is_to_reload = False
                try:
                    await self._reload()
                except ReloadFailed:
                    pass  # its reason is in the log
                except NotReady as error:
                    log.warning("not reloaded: %s", error)

    async def _reload(self) -> Reload:
        self._refuse_unless_ready()
        try:
            classifier = await load_in_a_thread(self._load, self.settings)
            loading.refuse_other_classes(self.pipeline.classifier, classifier)
        except Exception as error:  # whatever it was, the old one goes on
            reason = public_message(error)
            trace = None if isinstance(error, CxrError) else error
            log.error(  # noqa: TRY400  # of an expected error the words are enough
                "not reloaded: %s", reason, exc_info=trace
            )
            self._note(Reload("failed", datetime.now(UTC), reason))
            raise ReloadFailed(f"The old checkpoint is served on: {reason}") from error
        done = Reload("succeeded", datetime.now(UTC), sha256=classifier.checkpoint.sha256)
        self._note(done)
        self._take("reloaded", classifier)
        return done

    def _note(self, reload: Reload) -> None:
        self.last_reload = reload
        self.metrics.count_reload(reload.status)

    def _take(self, how: str, classifier: Classifier) -> None:
        """Send new requests to `classifier`; the old one is let go when it has answered its own."""
        retired = self._pipeline
        self._pipeline = Pipeline(classifier, self.settings, self._decoding, self.metrics)
        if retired is not None:
            retired.retire()
        self._state = "ready"
        self._is_begun.set()
        loading.announce(how, classifier, self.metrics)

    def _fail(self, what: str, error: Exception) -> None:
        self.failure = error
        self._state = "failed"
        self._is_begun.set()
        trace = None if isinstance(error, CxrError) else error
        log.critical("%s: %s", what, error, exc_info=trace)

    def _refuse_unless_ready(self) -> None:
        """Raise NotReady where no other checkpoint can take the place of the present one."""
        if self.status != "ready":
            raise NotReady(f"The service is {self.status}; try again shortly.")

    def _in_background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
