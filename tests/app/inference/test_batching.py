from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from app.inference.batching import MicroBatcher, QueueFull

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from numpy.typing import NDArray

pytestmark = pytest.mark.anyio


class Model:
    """Answers each item with its value, once it is let; knows its batches."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.open = threading.Event()
        self.open.set()
        self.running = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, batch: NDArray[np.float32]) -> Sequence[float]:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.batches.append(batch.ravel().tolist())
        self.open.wait(5)
        with self._lock:
            self.running -= 1
        if np.isnan(batch).any():
            raise ZeroDivisionError
        answers: list[float] = batch.ravel().tolist()
        return answers


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model()
    yield model
    model.open.set()


@pytest.fixture
def batcher(model: Model) -> Callable[..., MicroBatcher[float]]:
    def make(threads: int = 1, **options: Any) -> MicroBatcher[float]:
        return MicroBatcher(
            model, ThreadPoolExecutor(threads), **{"max_queue": 100, "max_size": 4, **options}
        )

    return make


def item(value: float) -> Callable[[], Awaitable[NDArray[np.float32]]]:
    async def prepare() -> NDArray[np.float32]:
        return np.array([value], np.float32)

    return prepare


async def turns(count: int = 20) -> None:
    """Let the event loop go round, so that what can happen has happened."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def submit(
    batcher: MicroBatcher[float],
    prepare: Callable[[], Awaitable[NDArray[np.float32] | None]],
    apart: Callable[[], Awaitable[NDArray[np.float32]]] | None = None,
) -> float:
    """The road of one item; what takes long, for which `prepare` has None, is made by `apart`."""
    with batcher.place() as place:
        await place.turn()
        array = await prepare()
        if array is None:
            place.step_aside()
            array = await apart()
        return await place.submit(array)


async def ask(batcher: MicroBatcher[float], *values: float) -> list[asyncio.Task[float]]:
    tasks = [asyncio.create_task(submit(batcher, item(value))) for value in values]
    await turns()
    return tasks


async def begun(model: Model, batches: int) -> None:
    with anyio.fail_after(5):
        while len(model.batches) < batches:  # noqa: ASYNC110
            await anyio.sleep(0.001)


async def test_one_alone_is_answered_at_once(batcher: Any, model: Model) -> None:
    assert await submit(batcher(), item(7)) == 7
    assert model.batches == [[7]]


async def test_what_comes_while_a_batch_runs_makes_the_next_in_order(
    batcher: Any, model: Model
) -> None:
    model.open.clear()
    waiting = batcher()
    tasks = await ask(waiting, 1)
    await begun(model, 1)
    tasks += await ask(waiting, 2, 3, 4, 5, 6, 7)
    assert waiting.waiting == 6
    model.open.set()
    assert await asyncio.gather(*tasks) == [1, 2, 3, 4, 5, 6, 7]
    assert model.batches == [[1], [2, 3, 4, 5], [6, 7]]
    assert waiting.waiting == 0


async def test_no_more_batches_run_at_once_than_are_allowed(batcher: Any, model: Model) -> None:
    model.open.clear()
    many = batcher(threads=8, max_running=2, max_size=1)
    tasks = await ask(many, *range(30))
    await begun(model, 2)
    await anyio.sleep(0.02)
    assert many.waiting == 28
    model.open.set()
    assert await asyncio.gather(*tasks) == list(range(30))
    assert model.most == 2


async def test_a_batch_that_is_not_full_waits_for_more(batcher: Any, model: Model) -> None:
    waiting = batcher(max_wait_s=5)
    tasks = await ask(waiting, 1, 2)
    assert model.batches == []
    tasks += await ask(waiting, 3, 4)
    assert await asyncio.gather(*tasks) == [1, 2, 3, 4]
    assert model.batches == [[1, 2, 3, 4]]


async def test_it_waits_no_longer_than_it_may(batcher: Any, model: Model) -> None:
    assert await submit(batcher(max_wait_s=0.01), item(1)) == 1
    assert model.batches == [[1]]


async def test_a_full_queue_refuses_before_anything_is_prepared(batcher: Any, model: Model) -> None:
    model.open.clear()
    small = batcher(max_queue=2)
    tasks = await ask(small, 1)
    await begun(model, 1)
    tasks += await ask(small, 2, 3)
    prepared = []
    with pytest.raises(QueueFull, match="2 requests are waiting"):
        await submit(small, lambda: prepared.append("begun"))
    assert prepared == []
    model.open.set()
    assert await asyncio.gather(*tasks) == [1, 2, 3]
    assert await submit(small, item(4)) == 4


async def test_items_that_are_being_prepared_count(batcher: Any) -> None:
    small = batcher(max_queue=1)
    ready = asyncio.Event()

    async def prepare() -> NDArray[np.float32]:
        await ready.wait()
        return np.array([1], np.float32)

    slow = asyncio.create_task(submit(small, prepare))
    await turns()
    with pytest.raises(QueueFull):
        await submit(small, item(2))
    ready.set()
    assert await slow == 1


async def test_no_more_is_prepared_ahead_than_the_running_batches_hold(
    batcher: Any, model: Model
) -> None:
    model.open.clear()
    prepared = []

    def counted(value: float) -> Callable[[], Awaitable[NDArray[np.float32]]]:
        async def prepare() -> NDArray[np.float32]:
            prepared.append(value)
            return np.array([value], np.float32)

        return prepare

    pairs = batcher(threads=2, max_size=2, max_running=2)
    tasks = [asyncio.create_task(submit(pairs, counted(value))) for value in range(20)]
    await begun(model, 2)
    await turns()
    running = sum(len(batch) for batch in model.batches)
    assert len(prepared) == running + 4
    assert pairs.waiting == 20 - running
    tasks[-1].cancel()
    tasks[running].cancel()
    model.open.set()
    assert len(await asyncio.gather(*tasks, return_exceptions=True)) == 20
    assert len(prepared) == 19
    assert await submit(pairs, item(7)) == 7


async def test_a_caller_that_goes_away_frees_its_place_and_is_not_run(
    batcher: Any, model: Model
) -> None:
    model.open.clear()
    small = batcher(max_queue=2)
    running = await ask(small, 1)
    await begun(model, 1)
    gone, staying = await ask(small, 2, 3)
    gone.cancel()
    await turns()
    last = await ask(small, 4)
    model.open.set()
    assert await asyncio.gather(*running, staying, *last) == [1, 3, 4]
    assert model.batches == [[1], [3, 4]]


async def test_a_caller_that_goes_away_while_its_batch_runs_harms_nobody(
    batcher: Any, model: Model
) -> None:
    model.open.clear()
    pair = batcher(max_wait_s=5, max_size=2)
    gone, staying = await ask(pair, 1, 2)
    await begun(model, 1)
    gone.cancel()
    model.open.set()
    assert await staying == 2


async def test_all_that_wait_may_go_away(batcher: Any, model: Model) -> None:
    waiting = batcher(max_wait_s=0.02)
    for task in await ask(waiting, 1, 2):
        task.cancel()
    await anyio.sleep(0.05)
    assert model.batches == []
    assert await submit(waiting, item(3)) == 3


async def test_an_error_is_that_of_its_whole_batch_and_of_no_other(
    batcher: Any, model: Model
) -> None:
    pairs = batcher(max_size=2, max_wait_s=5)
    tasks = await ask(pairs, float("nan"), 2, 3, 4)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results[:2]] == [ZeroDivisionError] * 2
    assert results[2:] == [3, 4]


class HandDriven(Executor):
    """Runs nothing by itself; a test resolves what was submitted, when it likes."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


async def test_who_comes_in_the_very_turn_in_which_the_worker_leaves_is_not_forgotten() -> None:
    executor = HandDriven()
    batcher: MicroBatcher[float] = MicroBatcher(lambda _: [], executor, max_queue=9)
    (first,) = await ask(batcher, 1)
    ready = asyncio.get_running_loop().create_future()
    second = asyncio.create_task(submit(batcher, lambda: ready))
    await turns()
    ready.set_result(np.array([2], np.float32))
    executor.futures[0].set_result([1.0])
    for _ in range(4):
        await turns()
        if len(executor.futures) > 1:
            break
    executor.futures[1].set_result([2.0])
    assert await asyncio.gather(first, second) == [1, 2]


@pytest.mark.parametrize("turns_before", range(6))
async def test_no_turn_of_the_loop_is_a_bad_one_to_come_in(turns_before: int) -> None:
    executor = HandDriven()
    batcher: MicroBatcher[float] = MicroBatcher(lambda _: [], executor, max_queue=9)
    (first,) = await ask(batcher, 1)
    executor.futures[0].set_result([1.0])
    for _ in range(turns_before):
        await anyio.lowlevel.checkpoint()
    (second,) = await ask(batcher, 2)
    assert len(executor.futures) == 2, "nobody works for the second"
    executor.futures[1].set_result([2.0])
    assert await asyncio.gather(first, second) == [1, 2]


async def test_callers_are_told_when_the_executor_is_shut_down() -> None:
    executor = HandDriven()
    batcher: MicroBatcher[float] = MicroBatcher(lambda _: [], executor, max_queue=9)
    tasks = await ask(batcher, 1, 2)
    executor.futures[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2


async def test_a_caller_that_goes_away_while_it_is_prepared_gives_its_turn_to_the_next(
    batcher: Any,
) -> None:
    alone = batcher(max_size=1)

    async def never() -> NDArray[np.float32]:
        await asyncio.sleep(60)
        raise AssertionError

    gone = asyncio.create_task(submit(alone, never))
    await turns()
    staying = await ask(alone, 2)
    gone.cancel()
    assert await asyncio.gather(*staying) == [2]
    assert alone.waiting == 0


async def test_an_error_while_preparing_is_the_callers_alone(batcher: Any) -> None:
    async def fail() -> NDArray[np.float32]:
        raise ZeroDivisionError

    alone = batcher()
    with pytest.raises(ZeroDivisionError):
        await submit(alone, fail)
    assert alone.waiting == 0
    assert await submit(alone, item(1)) == 1


@pytest.mark.parametrize("answers", [[], [1, 2]], ids=["too-few", "too-many"])
async def test_a_model_that_miscounts_is_an_error_not_an_answer(answers: list[int]) -> None:
    batcher = MicroBatcher(lambda _: answers, ThreadPoolExecutor(1), max_queue=1)
    with pytest.raises(RuntimeError, match="answers for 1 inputs"):
        await submit(batcher, item(1))


async def test_a_thousand_callers_that_come_and_go_get_each_their_own_or_nothing(
    batcher: Any,
) -> None:
    many = batcher(threads=2, max_running=3, max_queue=1000)
    tasks = [asyncio.create_task(submit(many, item(value))) for value in range(1000)]
    await turns(3)
    for task in tasks[::7]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for value, result in enumerate(results):
        assert result == value or isinstance(result, asyncio.CancelledError)
    assert sum(isinstance(result, float) for result in results) >= 1000 - len(tasks[::7])
    assert many.waiting == 0


async def nothing() -> None:
    """What `prepare` gives for an item that takes long."""


async def test_what_is_prepared_apart_holds_a_place_in_the_queue_and_no_other_up(
    batcher: Any, model: Model
) -> None:
    ready = asyncio.Event()

    async def apart() -> NDArray[np.float32]:
        await ready.wait()
        return np.array([7], np.float32)

    narrow = batcher(max_queue=2, max_size=1)
    slow = [asyncio.create_task(submit(narrow, nothing, apart))]
    await turns()
    assert narrow.waiting == 1
    assert await submit(narrow, item(1)) == 1
    slow.append(asyncio.create_task(submit(narrow, nothing, apart)))
    await turns()
    with pytest.raises(QueueFull):
        await submit(narrow, item(2))
    ready.set()
    assert await asyncio.gather(*slow) == [7, 7]
    assert narrow.waiting == 0
    assert await submit(narrow, item(3)) == 3


async def test_one_given_up_while_it_is_prepared_apart_leaves_the_queue(batcher: Any) -> None:
    async def apart() -> NDArray[np.float32]:
        await asyncio.Event().wait()
        raise AssertionError

    waiting = batcher()
    task = asyncio.create_task(submit(waiting, nothing, apart))
    await turns()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert waiting.waiting == 0
    assert await asyncio.gather(*await ask(waiting, *range(20))) == list(range(20))


async def test_an_error_while_it_is_prepared_apart_is_its_own(batcher: Any) -> None:
    async def apart() -> NDArray[np.float32]:
        raise ZeroDivisionError

    waiting = batcher(max_queue=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await submit(waiting, nothing, apart)
    assert await submit(waiting, item(1)) == 1


async def test_it_tells_for_how_long_a_batch_has_been_running(batcher: Any, model: Model) -> None:
    model.open.clear()
    watched = batcher()
    assert watched.longest_run_s == 0
    tasks = await ask(watched, 1)
    await begun(model, 1)
    await anyio.sleep(0.05)
    assert watched.longest_run_s >= 0.05
    model.open.set()
    await asyncio.gather(*tasks)
    assert watched.longest_run_s == 0


async def test_all_that_wait_when_it_is_abandoned_are_told_why(batcher: Any, model: Model) -> None:
    model.open.clear()
    prepared = asyncio.Event()

    async def prepare() -> NDArray[np.float32]:
        await prepared.wait()
        return np.array([3], np.float32)

    broken = batcher(max_size=2)
    tasks = await ask(broken, 1)
    await begun(model, 1)
    tasks += await ask(broken, 2)
    late = asyncio.create_task(submit(broken, prepare))
    await turns()
    broken.abandon(ZeroDivisionError("it broke"))
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in found] == [ZeroDivisionError] * 2
    prepared.set()
    with pytest.raises(ZeroDivisionError, match="it broke"):
        await late
    assert broken.waiting == 0
