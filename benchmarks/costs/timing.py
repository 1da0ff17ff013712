"""Things timed in turn, so that whatever else the machine does slows them all."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def interleave(*functions: Callable[[], object], rounds: int, calls: int = 20) -> list[float]:
    """Median milliseconds a call of each of `functions`, after a round of each to warm up."""
    times: list[list[float]] = [[] for _ in functions]
    for round_ in range(rounds + 1):
        for function, found in zip(functions, times, strict=True):
            start = time.perf_counter()
            for _ in range(calls):
                function()
            if round_:
                found.append((time.perf_counter() - start) / calls * 1000)
    return [statistics.median(found) for found in times]
