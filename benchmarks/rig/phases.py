"""What is sent to a watched server, and windows of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import psutil

from benchmarks.rig.client import Request
from benchmarks.rig.generator import Generator, Lane, Load, always
from benchmarks.rig.pictures import form, gray_jpeg
from benchmarks.rig.wire import get, post

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.rig.watched_server import WatchedServer

PREDICT = "predict"
HEALTH, LIVE = "/health", "/health/live"
SIDE = 1024
AT_CAPACITY = 8
"""Connections in a closed loop that keep the server busy and wait little."""
WARM_UP_S = 1


class Phase(NamedTuple):
    """A window of load, and how many CPUs were busy meanwhile, on average."""

    load: Load
    server_cpus: float
    """With the server."""
    machine_cpus: float
    """With anything, the hypervisor's other guests included: much more is noise."""

    @property
    def generator_cpus(self) -> float:
        """With the load itself."""
        return self.load.cpu_s / self.load.seconds


def predictions(connections: int, per_s: float | None = None, *, keeps_body: bool = False) -> Lane:
    """One gray JPEG of 1024 x 1024 as a form, again and again."""
    request = Request(PREDICT, post(form(gray_jpeg(SIDE, SIDE))), keeps_body)
    return Lane(always(request), connections, per_s)


def probe(path: str, per_s: float, *, keeps_body: bool = False) -> Lane:
    """A GET so many times a second, on a connection of its own; the path is its name."""
    return Lane(always(Request(path, get(path), keeps_body)), per_s=per_s)


def run_phase(server: WatchedServer, lanes: Sequence[Lane], seconds: float) -> Phase:
    """Load on `server` for so many seconds."""
    with Generator(server.port, list(lanes), seconds=seconds) as generator:
        before, busy_before, start = server.cpu_s, _busy_s(), time.monotonic()
        load = generator.wait()
        seconds = time.monotonic() - start
        return Phase(load, (server.cpu_s - before) / seconds, (_busy_s() - busy_before) / seconds)


def capacity_per_s(server: WatchedServer, seconds: float) -> tuple[float, Phase]:
    """Requests answered a second in a closed loop, after a short one to get going."""
    run_phase(server, [predictions(AT_CAPACITY)], WARM_UP_S)
    phase = run_phase(server, [predictions(AT_CAPACITY)], seconds)
    return phase.load.answered_per_s(PREDICT), phase


def _busy_s() -> float:
    """Seconds that this machine's CPUs have not been idle, all together."""
    times = psutil.cpu_times()
    return sum(times[:3]) + sum(getattr(times, name, 0.0) for name in ("irq", "softirq", "steal"))
