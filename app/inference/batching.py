"""Requests that come one by one, answered in batches."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

Answer = TypeVar("Answer")


class QueueFull(Exception):
    """As many are waiting already as are allowed to."""


@dataclass
class _Item:
    array: NDArray[np.float32]
    queued_at: float
    begun_at: float = 0.0
    took_s: float | None = None
    """None until its batch was run."""


class _Running(NamedTuple):
    begun_at: float
    chosen: dict[asyncio.Future[Any], _Item]


class MicroBatcher(Generic[Answer]):
    """Gives `predict` whatever waits, up to `max_size` at once.

    `predict` takes a batch, float32 (n, ...), gives n answers in order, and runs in `executor`,
    which is given up to `max_running` batches at a time. Until then the next batch gathers; one
    that is not full waits for more until its first item has waited `max_wait_s`. No more items
    are prepared ahead than those batches hold, for what is prepared is large; at most `max_queue`
    wait, prepared or not. `on_batch` is told how many items each batch had that was run, and
    `on_item`, in the caller's own context, how many seconds an item waited once it was prepared,
    and how many its batch took.
    """

    def __init__(
        self,
        predict: Callable[[NDArray[np.float32]], Sequence[Answer]],
        executor: Executor,
        *,
        max_queue: int,
        max_size: int = 1,
        max_wait_s: float = 0.0,
        max_running: int = 1,
        on_batch: Callable[[int], None] = lambda _: None,
        on_item: Callable[[float, float], None] = lambda *_: None,
    ) -> None:
        self._predict = predict
        self._executor = executor
        self._max_size = max_size
        self._max_wait_s = max_wait_s
        self._max_queue = max_queue
        self._max_running = max_running
        self._on_batch = on_batch
        self._on_item = on_item
        self._ahead = asyncio.Semaphore(max_size * max_running)
        self._unprepared = 0
        self._queue: dict[asyncio.Future[Answer], _Item] = {}
        self._is_full = asyncio.Event()
        self._workers: set[asyncio.Task[None]] = set()
        self._running: dict[object, _Running] = {}
        self._abandoned: Exception | None = None

    @property
    def waiting(self) -> int:
        """How many items wait for a batch, prepared or not; not those in one that runs."""
        return self._unprepared + len(self._queue)

    @property
    def prepared(self) -> int:
        """How many of those are prepared."""
        return len(self._queue)

    @property
    def longest_run_s(self) -> float:
        """For how long the batch has been running that has been longest; 0 where none is."""
        now = time.monotonic()
        return max((now - running.begun_at for running in self._running.values()), default=0.0)

    def refuse_when_full(self) -> None:
        """Raise what `submit` would.

        Raises:
            QueueFull: as many wait as are allowed to.
        """
        if self.waiting >= self._max_queue:
            raise QueueFull(f"{self._max_queue} requests are waiting already; try again shortly.")

    async def submit(
        self,
        prepare: Callable[[], Awaitable[NDArray[np.float32] | None]],
        prepare_apart: Callable[[], Awaitable[NDArray[np.float32]]] | None = None,
    ) -> Answer:
        """The answer for the item that `prepare` brings, without its batch dimension.

        Where that brings none, `prepare_apart` does, which may take long: meanwhile others are
        prepared, and only the place in the queue is held. A caller that is cancelled leaves the
        queue at once. Raises what they raise, for all of a batch what `predict` raises, and:

        Raises:
            QueueFull: before anything is prepared.
        """
        self.refuse_when_full()
        self._unprepared += 1
        try:
            array = await self._prepare(prepare)
            if array is None and prepare_apart is not None:
                array = await prepare_apart()
                await self._ahead.acquire()
        finally:
            self._unprepared -= 1
        if array is None:
            raise RuntimeError("nothing was prepared")
        if self._abandoned is not None:
            self._ahead.release()
            raise self._abandoned
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        item = self._queue[answer] = _Item(array, time.monotonic())
        if len(self._queue) >= self._max_size:
            self._is_full.set()
        if len(self._workers) < self._max_running:
            self._workers.add(asyncio.create_task(self._work()))
        try:
            return await answer
        finally:
            if self._queue.pop(answer, None):
                self._ahead.release()
            if item.took_s is not None:
                self._on_item(item.begun_at - item.queued_at, item.took_s)

    def abandon(self, error: Exception) -> None:
        """Give all that wait, in a batch that runs or for one, `error` for an answer.

        So get those that are still prepared, once they are.
        """
        self._abandoned = error
        batches = [running.chosen for running in self._running.values()]
        for waiting in [*self._queue, *chain.from_iterable(batches)]:
            if not waiting.done():
                waiting.set_exception(error)

    async def _prepare(
        self, prepare: Callable[[], Awaitable[NDArray[np.float32] | None]]
    ) -> NDArray[np.float32] | None:
        """What `prepare` brings, and with it one of the few places that are prepared ahead."""
        await self._ahead.acquire()
        array = None
        try:
            array = await prepare()
        finally:
            if array is None:
                self._ahead.release()
        return array

    async def _work(self) -> None:
        """Run batches until nobody waits."""
        try:
            while self._queue:
                await self._gather()
                chosen = self._take()
                if chosen:
                    await self._run(chosen)
        finally:  # at once: who comes in the next turn of the loop must not count on this worker
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _gather(self) -> None:
        """Give the first in the queue the rest of its wait for others."""
        while self._queue and len(self._queue) < self._max_size:
            first = next(iter(self._queue.values()))
            rest = first.queued_at + self._max_wait_s - time.monotonic()
            if rest <= 0:
                return
            self._is_full.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_full.wait(), rest)

    def _take(self) -> dict[asyncio.Future[Answer], _Item]:
        """Up to a batch out of the queue, but for those whose caller is leaving this very turn."""
        chosen = dict(islice(self._queue.items(), self._max_size))
        for answer in chosen:
            del self._queue[answer]
            self._ahead.release()
        return {answer: item for answer, item in chosen.items() if not answer.done()}

    async def _run(self, chosen: dict[asyncio.Future[Answer], _Item]) -> None:
        loop = asyncio.get_running_loop()
        arrays = [item.array for item in chosen.values()]
        run, begun_at = object(), time.monotonic()
        self._running[run] = _Running(begun_at, chosen)
        try:
            answers = await loop.run_in_executor(self._executor, self._predict_all, arrays)
        except asyncio.CancelledError:  # the executor was shut down
            for waiting in [*chosen, *self._queue]:
                waiting.cancel()
            raise
        except Exception as error:  # theirs to handle, whatever it is; the next batch is run
            for waiting in chosen:
                if not waiting.done():
                    waiting.set_exception(error)
            return
        finally:
            del self._running[run]
        self._on_batch(len(chosen))
        for item in chosen.values():
            item.begun_at, item.took_s = begun_at, time.monotonic() - begun_at
        for waiting, answer in zip(chosen, answers, strict=True):
            if not waiting.done():
                waiting.set_result(answer)

    def _predict_all(self, arrays: list[NDArray[np.float32]]) -> Sequence[Answer]:
        batch = arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
        answers = self._predict(batch)
        if len(answers) != len(arrays):
            raise RuntimeError(f"{len(answers)} answers for {len(arrays)} inputs")
        return answers
