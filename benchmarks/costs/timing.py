"""Two things timed in turn, so that whatever else the machine does slows both."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def interleave(
    one: Callable[[], object], other: Callable[[], object], *, rounds: int, calls: int = 20
) -> tuple[float, float]:
    """Median milliseconds a call of `one` and of `other`, after a round of each to warm up."""
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds + 1):
        for function, found in zip((one, other), times, strict=True):
            start = time.perf_counter()
            for _ in range(calls):
                function()
            if round_:
                found.append((time.perf_counter() - start) / calls * 1000)
    return statistics.median(times[0]), statistics.median(times[1])
