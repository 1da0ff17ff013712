"""No work for a client that has gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.requests import Request

Result = TypeVar("Result")


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """What `work` returns or raises; it is cancelled as soon as the client hangs up.

    The body of `request` must have been read: what comes after it is the client's going.

    Raises:
        ClientDisconnect: the client has gone.
    """
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    watching = asyncio.create_task(_cancel_when_gone(request, task))
    try:
        return await work
    except asyncio.CancelledError:
        # As asyncio.timeout does: ours is taken back, anyone else's goes on its way.
        has_gone = watching.done() and not watching.cancelled() and not watching.exception()
        if has_gone and task.uncancel() == 0:
            raise ClientDisconnect from None
        raise
    finally:
        watching.cancel()


async def _cancel_when_gone(request: Request, task: asyncio.Task[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()
