"""Waiting until something has come about, and not a fixed time."""

from __future__ import annotations

import inspect
import time
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT_S = 60.0
"""Far beyond what a busy machine takes: it only ends tests that would wait for ever."""
_PAUSES_S = [0.005, 0.01, 0.02, 0.05]
_LONGEST_PAUSE_S = 0.1


def wait_until(condition: Callable[[], Any], *, limit_s: float = LIMIT_S) -> Any:
    """What `condition` gives as soon as that counts as true.

    Raises:
        TimeoutError: it has not within `limit_s`.
    """
    end, pauses = time.monotonic() + limit_s, _pauses()
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit_s:g} s: {inspect.getsource(condition).strip()}")
        time.sleep(next(pauses))
    return found


async def until(condition: Callable[[], Any], *, limit_s: float = LIMIT_S) -> Any:
    """Wait as `wait_until` does, in an event loop that goes on meanwhile.

    `condition` may be a coroutine function.

    Raises:
        TimeoutError: as `wait_until`.
    """
    end, pauses = time.monotonic() + limit_s, _pauses()
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit_s:g} s: {inspect.getsource(condition).strip()}")
        await anyio.sleep(next(pauses))


def _pauses() -> Iterator[float]:
    """Short at first, for what comes about at once."""
    return chain(_PAUSES_S, repeat(_LONGEST_PAUSE_S))
