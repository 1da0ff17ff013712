"""`python -m benchmarks.promises.failover`: replicas on Ray come, are killed, and go, under load.

One becomes two where there is too much for it. Of two, one that is killed costs at most what it had
under way; the other answers meanwhile, and another takes its place. One that is let go again costs
nothing.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import ray
from ray import serve
from ray.serve.context import _get_global_client  # what `serve status` tells has no process ids

from app.cluster import application
from benchmarks.report import Report, add_common_options, listed, percentile, statuses
from benchmarks.rig.generator import Generator
from benchmarks.rig.phases import AT_CAPACITY, HEALTH, PREDICT, predictions, probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.rig.client import Exchange
    from benchmarks.rig.generator import Load

NAME = "cxr-inference"
PORT = 8123
HEALTH_PER_S = 20
REACTION_S = 5
LIMIT_S = 180
WITHOUT_S = 1.0
POLL_S = 0.1


class Failover(NamedTuple):
    """What clients saw; times are those of `time.monotonic`."""

    busy: Load
    grown_at: float
    """When there were two."""
    killed_at: float
    replaced_at: float
    """When there were two again."""
    calm: Load
    """Of a single connection, afterwards."""
    lessened_at: float
    """When there was one again."""


def main() -> None:
    """Measure, report, and end with 1 where a guarantee does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.promises.failover", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=20, help="of load between the events")
    add_common_options(parser)
    options = parser.parse_args()
    if options.quick:
        options.seconds = 4
    report = Report(
        "failover",
        f"Ray Serve {version('ray')}, one or two replicas of a CPU each, {AT_CAPACITY} connections "
        "in a closed loop, then one; a replica for every two requests in flight.",
    )
    tell(report, measure(options.model, options.seconds))
    report.conclude(options.out)


def measure(model: Path, seconds: float) -> Failover:
    """Serve `model` under load, with `seconds` before each event and after the last."""
    os.environ |= {
        "CXR_MODEL_PATH": str(model.resolve()),
        "CXR_OOD": "off",  # what is sent is no chest X-ray
        "CXR_LOG_LEVEL": "warning",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }
    ray.init(log_to_driver=False, logging_level="warning", include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    try:
        serve.run(
            application(
                {
                    "max_replicas": 2,
                    "requests_per_replica": 2,
                    "grow_after_s": REACTION_S,
                    "shrink_after_s": REACTION_S,
                }
            ),
            name=NAME,
        )
        lanes = [predictions(AT_CAPACITY), probe(HEALTH, HEALTH_PER_S)]
        with Generator(PORT, lanes, seconds=LIMIT_S) as generator:
            wait_until(lambda: len(running()) == 2)
            grown_at = time.monotonic()
            time.sleep(seconds)
            before = running()
            os.kill(min(before.values()), signal.SIGKILL)
            killed_at = time.monotonic()
            wait_until(lambda: len(running()) == 2 and running() != before)
            replaced_at = time.monotonic()
            time.sleep(seconds)
            busy = generator.finish()
        with Generator(PORT, [predictions(1)], seconds=LIMIT_S) as generator:
            wait_until(lambda: len(running()) == 1)
            lessened_at = time.monotonic()
            time.sleep(seconds)
            calm = generator.finish()
        return Failover(busy, grown_at, killed_at, replaced_at, calm, lessened_at)
    finally:
        serve.shutdown()
        ray.shutdown()


def tell(report: Report, found: Failover) -> None:
    """Figures and guarantees."""
    busy, calm = found.busy, found.calm
    asked, afterwards = busy.named(PREDICT), calm.named(PREDICT)
    phases = [
        ("one replica, too much for it", asked, busy.begun_at, found.grown_at),
        ("two", asked, found.grown_at, found.killed_at),
        ("one of them killed", asked, found.killed_at, found.replaced_at),
        ("two again", asked, found.replaced_at, busy.ended_at),
        ("two, with little to do", afterwards, calm.begun_at, found.lessened_at),
        ("one", afterwards, found.lessened_at, calm.ended_at),
    ]
    report.add_table(
        ("phase", "seconds", "answered a second", "p99, ms", "longest without, s", "became of all"),
        [(name, until - since, *_figures(of, since, until)) for name, of, since, until in phases],
    )
    failed = [e for e in (*asked, *afterwards) if e.status != 200]
    there = [e for e in failed if e.begun_at <= found.killed_at <= e.ended_at]
    report.promise(
        "what fails was under way on the replica that was killed",
        listed(statuses(failed)),
        holds=len(failed) == len(there) <= AT_CAPACITY,
    )
    gap = _longest_gap(asked, found.killed_at, found.replaced_at)
    report.promise(
        f"meanwhile there is an answer every {WITHOUT_S:g} s; the longest without, s",
        gap,
        holds=gap < WITHOUT_S,
    )
    health = [e for e in busy.named(HEALTH) if not e.begun_at < found.killed_at < e.ended_at]
    report.promise(
        "health says ready all the time",
        listed(statuses(health)),
        holds=bool(health) and all(e.status == 200 for e in health),
    )


def _figures(asked: list[Exchange], since: float, until: float) -> tuple[float, float, float, str]:
    within = [e for e in asked if since < e.ended_at <= until]
    answered = [e.ms for e in within if e.status == 200]
    gap = _longest_gap(asked, since, until)
    return len(answered) / (until - since), percentile(answered, 99), gap, listed(statuses(within))


def _longest_gap(asked: list[Exchange], since: float, until: float) -> float:
    ends = sorted(e.ended_at for e in asked if e.status == 200 and since < e.ended_at <= until)
    moments = [since, *ends, until]
    return max(later - earlier for earlier, later in pairwise(moments))


def running() -> dict[str, int]:
    """The process of each replica that Ray sends requests to."""
    found = _get_global_client().get_serve_details()["applications"][NAME]["deployments"]
    return {
        replica["replica_id"]: replica["pid"]
        for deployment in found.values()
        for replica in deployment["replicas"]
        if replica["state"] == "RUNNING"
    }


def wait_until(holds: Callable[[], bool]) -> None:
    """Raise TimeoutError where it does not within `LIMIT_S`."""
    until = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {LIMIT_S} s")
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
