from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest
from starlette.requests import ClientDisconnect, Request

from app.server.disconnect import unless_gone
from tests.waiting import until

if TYPE_CHECKING:
    from starlette.types import Message

pytestmark = pytest.mark.anyio


def request_that_goes(gone: asyncio.Event) -> Request:
    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def test_the_result_of_the_work_is_returned() -> None:
    async def work() -> int:
        await anyio.lowlevel.checkpoint()
        return 7

    assert await unless_gone(request_that_goes(asyncio.Event()), work()) == 7


async def test_the_error_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await unless_gone(request_that_goes(asyncio.Event()), work())


@pytest.mark.parametrize("cause", ["the client goes", "the deadline passes"])
async def test_the_work_is_cancelled_where_nobody_waits_for_it(cause: str) -> None:
    gone, stopped = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        if cause == "the client goes":
            gone.set()
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()

    if cause == "the client goes":
        with pytest.raises(ClientDisconnect):
            await unless_gone(request_that_goes(gone), work())
    else:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await unless_gone(request_that_goes(gone), work())
    await until(stopped.is_set)


async def test_a_cancellation_by_someone_else_goes_on_its_way() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await anyio.sleep_forever()

    outer = asyncio.create_task(unless_gone(request_that_goes(asyncio.Event()), work()))
    await begun.wait()
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer


async def test_nothing_is_left_behind() -> None:
    async def work() -> None:
        await anyio.lowlevel.checkpoint()

    before = asyncio.all_tasks()
    await unless_gone(request_that_goes(asyncio.Event()), work())
    await anyio.lowlevel.checkpoint()
    assert asyncio.all_tasks() == before
