from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

import pytest

from app.inference.expendable import Expendable
from app.xray.errors import DecodingStopped, UnusableImage
from tests.stalls import be_killed, be_killed_once, crash, dawdle, rest, toil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

MEMORY = 1_000_000_000


@pytest.fixture
def deaths() -> list[str]:
    return []


@pytest.fixture
def make(deaths: list[str]) -> Iterator[object]:
    made: list[Expendable] = []

    def build(count: int = 2, cpu_s: float = 30, **options: float) -> Expendable:
        made.append(
            Expendable(count, cpu_s=cpu_s, memory_bytes=MEMORY, on_death=deaths.append, **options)
        )
        return made[-1]

    yield build
    for one in made:
        one.close()


async def test_what_is_killed_once_is_done_again_alone(
    make: object, deaths: list[str], tmp_path: Path
) -> None:
    one = make()
    beside = asyncio.create_task(one.run(rest, 0.5))
    assert await one.run(be_killed_once, str(tmp_path / "killed")) == "done"
    assert await beside == "rested"
    assert deaths == ["killed"]
    assert await one.run(rest, 0.0) == "rested"


async def test_what_is_killed_twice_is_the_machines_fault(make: object, deaths: list[str]) -> None:
    with pytest.raises(DecodingStopped):
        await make().run(be_killed)
    assert deaths == ["killed", "killed"]


async def test_several_that_are_killed_do_not_wait_for_each_other_for_ever(
    make: object, tmp_path: Path
) -> None:
    one = make()
    runs = [one.run(be_killed_once, str(tmp_path / str(index))) for index in range(3)]
    assert await asyncio.gather(*runs) == ["done"] * 3


class BrokenPool:
    """What pebble's pool is once a process died while it held the pipe that all share."""

    def schedule(self, *_: object) -> Future[object]:
        future: Future[object] = Future()
        future.set_exception(BrokenProcessPool())
        return future


async def test_that_another_took_its_process_along_does_not_count(
    make: object, deaths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, broken = Expendable._pool, [BrokenPool()]
    monkeypatch.setattr(
        Expendable, "_pool", lambda one, count: broken.pop() if broken else pool(one, count)
    )
    assert await make().run(be_killed_once, str(tmp_path / "killed")) == "done"
    assert deaths == ["killed", "killed"]


async def test_what_crashes_twice_is_the_files_fault(make: object, deaths: list[str]) -> None:
    with pytest.raises(UnusableImage, match="its decoder crashed"):
        await make().run(crash)
    assert deaths == ["crashed", "crashed"]


async def test_too_much_computing_is_the_files_fault_and_is_not_done_again(
    make: object, deaths: list[str]
) -> None:
    with pytest.raises(UnusableImage, match=r"takes more than 0\.3 s of computing"):
        await make(cpu_s=0.3).run(toil)
    assert deaths == ["overtime"]


async def test_time_that_passes_without_computing_is_nobodys_fault(make: object) -> None:
    assert await make(cpu_s=0.3).run(rest, 0.8) == "rested"


async def test_a_clock_that_is_set_forward_ends_nothing(
    make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make(cpu_s=5)
    await one.run(rest, 0.0)
    running = asyncio.create_task(one.run(rest, 0.5))
    await asyncio.sleep(0.1)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 86_400)
    assert await running == "rested"


async def test_what_gets_no_time_at_all_is_the_machines_fault(
    make: object, deaths: list[str]
) -> None:
    one = make(cpu_s=0.1, patience_s=1)
    with pytest.raises(DecodingStopped, match="had no time to decode it"):
        await one.run(dawdle)
    assert deaths == ["stalled"]


async def test_one_whose_caller_leaves_makes_room_for_the_next(make: object) -> None:
    one = make(1)
    left = asyncio.create_task(one.run(dawdle))
    await asyncio.sleep(0.1)
    left.cancel()
    assert await one.run(rest, 0.0) == "rested"
