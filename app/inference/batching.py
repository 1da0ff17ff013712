"""Requests that come one by one, answered in batches."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

Answer = TypeVar("Answer")


class QueueFull(Exception):
    """As many are waiting already as are allowed to."""


class Place(Generic[Answer]):
    """One item's place in a batcher's queue, for the block in which it is decoded and answered.

    Entering it raises `QueueFull` where as many wait as are allowed to.
    """

    def __init__(self, batcher: MicroBatcher[Answer]) -> None:
        self._batcher = batcher
        self._is_ahead = False
        self.queued_at = self.begun_at = 0.0
        self.took_s: float | None = None
        """None until its batch was run."""
        self.array: NDArray[np.float32]
        """The model input, once it is submitted."""

    def __enter__(self) -> Self:
        self._batcher.refuse_when_full()
        self._batcher._undecoded.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._batcher._undecoded.discard(self)
        self.step_aside()

    async def turn(self) -> None:
        """Wait until so few others are decoded ahead of the model that this item may be."""
        if not self._is_ahead:
            await self._batcher._ahead.acquire()
            self._is_ahead = True

    def step_aside(self) -> None:
        """Let another be decoded meanwhile; the place in the queue is kept."""
        if self._is_ahead:
            self._is_ahead = False
            self._batcher._ahead.release()

    async def submit(self, model_input: NDArray[np.float32]) -> Answer:
        """The answer for `model_input`, float32 without a batch dimension.

        Who has no turn, or stepped aside, waits for one first. A caller that is cancelled leaves
        the queue at once. Raises, for all of a batch, what the batcher's `predict` raises, and
        what the batcher was abandoned with.
        """
        await self.turn()
        self.array = model_input
        return await self._batcher._answer(self)


class _Running(NamedTuple):
    begun_at: float
    chosen: dict[asyncio.Future[Any], Place[Any]]


class MicroBatcher(Generic[Answer]):
    """Gives `predict` whatever waits, up to `max_size` at once.

    `predict` takes a batch, float32 (n, ...), gives n answers in order, and runs in `executor`,
    which is given up to `max_running` batches at a time. Until then the next batch gathers; one
    that is not full waits for more until its first item has waited `max_wait_s`. No more items
    have their turn than those batches hold, for a decoded picture is large; at most `max_queue`
    wait, decoded or not. `on_batch` is told how many items each batch had that was run, and
    `on_item`, in the caller's own context, how many seconds an item waited once it was submitted,
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
        self._undecoded: set[Place[Answer]] = set()
        self._queue: dict[asyncio.Future[Answer], Place[Answer]] = {}
        self._is_full = asyncio.Event()
        self._workers: set[asyncio.Task[None]] = set()
        self._running: dict[object, _Running] = {}
        self._abandoned: Exception | None = None

    @property
    def waiting(self) -> int:
        """How many items wait for a batch, submitted or not; not those in one that runs."""
        return len(self._undecoded) + len(self._queue)

    @property
    def prepared(self) -> int:
        """How many of those are submitted."""
        return len(self._queue)

    @property
    def longest_run_s(self) -> float:
        """For how long the batch has been running that has been longest; 0 where none is."""
        now = time.monotonic()
        return max((now - running.begun_at for running in self._running.values()), default=0.0)

    def refuse_when_full(self) -> None:
        """Raise what entering a place would.

        Raises:
            QueueFull: as many wait as are allowed to.
        """
        if self.waiting >= self._max_queue:
            raise QueueFull(f"{self._max_queue} requests are waiting already; try again shortly.")

    def place(self) -> Place[Answer]:
        """A place for one item, to be entered."""
        return Place(self)

    def abandon(self, error: Exception) -> None:
        """Give all that wait, in a batch that runs or for one, `error` for an answer.

        Those that are still being decoded get it once they are submitted.
        """
        self._abandoned = error
        batches = [running.chosen for running in self._running.values()]
        for waiting in [*self._queue, *chain.from_iterable(batches)]:
            if not waiting.done():
                waiting.set_exception(error)

    async def _answer(self, place: Place[Answer]) -> Answer:
        """The answer for what was submitted; its place is behind all that were before it."""
        if self._abandoned is not None:
            raise self._abandoned
        self._undecoded.discard(place)
        place.queued_at = time.monotonic()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue[answer] = place
        if len(self._queue) >= self._max_size:
            self._is_full.set()
        if len(self._workers) < self._max_running:
            self._workers.add(asyncio.create_task(self._work()))
        try:
            return await answer
        finally:
            self._queue.pop(answer, None)
            if place.took_s is not None:
                self._on_item(place.begun_at - place.queued_at, place.took_s)

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

    def _take(self) -> dict[asyncio.Future[Answer], Place[Answer]]:
        """Up to a batch out of the queue, but for those whose caller is leaving this very turn."""
        chosen = dict(islice(self._queue.items(), self._max_size))
        for answer, place in chosen.items():
            del self._queue[answer]
            place.step_aside()
        return {answer: place for answer, place in chosen.items() if not answer.done()}

    async def _run(self, chosen: dict[asyncio.Future[Answer], Place[Answer]]) -> None:
        loop = asyncio.get_running_loop()
        arrays = [place.array for place in chosen.values()]
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
        for place in chosen.values():
            place.begun_at, place.took_s = begun_at, time.monotonic() - begun_at
        for waiting, answer in zip(chosen, answers, strict=True):
            if not waiting.done():
                waiting.set_result(answer)

    def _predict_all(self, arrays: list[NDArray[np.float32]]) -> Sequence[Answer]:
        batch = arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
        answers = self._predict(batch)
        if len(answers) != len(arrays):
            raise RuntimeError(f"{len(answers)} answers for {len(arrays)} inputs")
        return answers
