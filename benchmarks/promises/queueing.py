"""How long an upload takes where others wait, by simulation."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_REPLICAS = 100_000
REQUESTS = 100_000


def times_in_system(
    per_s: float, service_s: float, servers: int, *, requests: int = REQUESTS, seed: int = 0
) -> NDArray[np.float64]:
    """Seconds from arrival to answer, (requests,): waiting, then `service_s`.

    Arrivals are a Poisson process of `per_s` a second; whoever came first is served first, by
    whichever of the servers is free: M/D/c in Kendall's notation.
    """
    arrivals = np.cumsum(np.random.default_rng(seed).exponential(1 / per_s, requests))
    free_at = [0.0] * servers
    times = np.empty(requests)
    for number, arrival in enumerate(arrivals):
        ended_at = max(float(arrival), free_at[0]) + service_s
        heapq.heapreplace(free_at, ended_at)
        times[number] = ended_at - arrival
    return times


def replicas_for(per_s: float, deadline_s: float, service_s: float, servers: int) -> int | None:
    """The fewest replicas, each of so many servers, that answer 99 of 100 within the deadline.

    Each gets its share by chance, as from a balancer that knows nothing of queues. None where no
    number of replicas does.
    """

    def are_enough(replicas: int) -> bool:
        share = per_s / replicas
        if share * service_s >= servers:
            return False
        return float(np.percentile(times_in_system(share, service_s, servers), 99)) <= deadline_s

    if service_s > deadline_s or not are_enough(MOST_REPLICAS):
        return None
    too_few, enough = math.floor(per_s * service_s / servers), MOST_REPLICAS
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if are_enough(middle) else (middle, enough)
    return enough
