"""Whether what runs the model still does, and a new start of it where it does not."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from app.xray.errors import CxrError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

INTERVAL_S: Final = 5.0


async def watch(
    check: Callable[[], Awaitable[None]],
    restart: Callable[[Exception], Awaitable[bool]],
    *,
    interval_s: float = INTERVAL_S,
) -> None:
    """Call `check` again and again, and `restart` with what it raises.

    Ends when it is cancelled, or where `restart` says that it failed: nothing is left to watch.
    """
    while True:
        await asyncio.sleep(interval_s)
        try:
            await check()
        except Exception as error:  # whatever it is, the model does not answer
            trace = None if isinstance(error, CxrError) else error
            log.error(  # noqa: TRY400  # of an expected error the words are enough
                "the model does not answer: %s; starting it anew", error, exc_info=trace
            )
            if not await restart(error):
                return
