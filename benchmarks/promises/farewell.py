"""`python -m benchmarks.promises.farewell`: SIGTERM at four times the load that can be answered.

What was accepted is answered, what comes later is refused, health says why at once, and the process
ends by itself.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import psutil

from benchmarks.promises.overload import CONNECTIONS, MAX_QUEUE, TIMES
from benchmarks.report import (
    Report,
    add_common_options,
    default_of,
    listed,
    percentile,
    statuses,
)
from benchmarks.rig.generator import Generator, Load
from benchmarks.rig.phases import HEALTH, PREDICT, capacity_per_s, predictions, probe
from benchmarks.rig.watched_server import WatchedServer, serving

if TYPE_CHECKING:
    from benchmarks.rig.client import Exchange

HEALTH_PER_S = 20
AT_ONCE_S = 0.25
"""In which a signal, or a request that has arrived, is noticed by a process with much to do."""
EXIT_LIMIT_S = 60
AFTERWARDS_S = 0.5


class Farewell(NamedTuple):
    """A load with an end of the server in it; times are those of `time.monotonic`."""

    load: Load
    told_at: float
    drained_at: float
    """When it may stop listening."""
    ended_at: float
    exit_code: int

    def when(self, exchange: Exchange) -> str:
        """Where the signal found a request."""
        if exchange.ended_at <= self.told_at:
            return "ended before the signal"
        if exchange.written_at is not None and exchange.written_at <= self.told_at:
            return "under way at the signal"
        if exchange.begun_at <= self.told_at + AT_ONCE_S:
            return "sent as the signal came"
        if exchange.begun_at <= self.drained_at - AT_ONCE_S:
            return "while it drained"
        return "at the end or later"


def main() -> None:
    """Measure, report, and end with 1 where a guarantee does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.promises.farewell", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=8, help="of load before the signal")
    parser.add_argument("--capacity-seconds", type=float, default=6)
    parser.add_argument("--drain-seconds", type=float, default=3, help="CXR_DRAIN_S")
    add_common_options(parser)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.capacity_seconds = 3, 3

    with serving(
        options.model, max_queue=str(MAX_QUEUE), drain_s=f"{options.drain_seconds:g}"
    ) as server:
        capacity, _ = capacity_per_s(server, options.capacity_seconds)
        farewell = end(server, TIMES * capacity, options.seconds, options.drain_seconds)
    report = Report(
        "farewell",
        f"{TIMES} times the capacity of {capacity:.0f} answers/s offered over {CONNECTIONS} "
        f"connections, SIGTERM after {options.seconds:g} s, "
        f"CXR_DRAIN_S={options.drain_seconds:g}, CXR_MAX_QUEUE={MAX_QUEUE}.",
    )
    tell(report, farewell)
    report.conclude(options.out)


def end(server: WatchedServer, per_s: float, seconds: float, drain_s: float) -> Farewell:
    """Offer `per_s`, have the server end after `seconds`, and go on offering until it has."""
    lanes = [
        predictions(CONNECTIONS, per_s, keeps_body=True),
        probe(HEALTH, HEALTH_PER_S, keeps_body=True),
    ]
    limit_s = seconds + drain_s + EXIT_LIMIT_S
    with Generator(server.port, lanes, seconds=limit_s) as generator:
        time.sleep(seconds)
        told_at = server.tell(signal.SIGTERM)
        try:
            exit_code = server.process.wait(EXIT_LIMIT_S + drain_s)
        except psutil.TimeoutExpired:
            sys.exit(f"the server has not ended {EXIT_LIMIT_S} s after CXR_DRAIN_S")
        ended_at = time.monotonic()
        time.sleep(AFTERWARDS_S)
        return Farewell(generator.finish(), told_at, told_at + drain_s, ended_at, exit_code)


def tell(report: Report, farewell: Farewell) -> None:
    """Figures and guarantees."""
    by_time: dict[str, list[Exchange]] = {}
    for exchange in farewell.load.named(PREDICT):
        by_time.setdefault(farewell.when(exchange), []).append(exchange)
    health = [e for e in farewell.load.named(HEALTH) if e.begun_at > farewell.told_at]
    told_for = [e for e in health if e.begun_at <= farewell.drained_at - AT_ONCE_S]
    report.add_table(
        ("predictions", "became of them"),
        [(name, listed(_outcomes(exchanges))) for name, exchanges in by_time.items()],
    )
    under_way = by_time.get("under way at the signal", [])
    slowest = max((e.ms for e in under_way if e.status == 200), default=float("nan"))
    report.add_table(
        ("figure", "value"),
        [
            ("signal to exit, s", farewell.ended_at - farewell.told_at),
            ("exit code", farewell.exit_code),
            ("under way at the signal and answered 200, slowest, ms", slowest),
            ("/health while it drained, p99, ms", percentile([e.ms for e in told_for], 99)),
        ],
    )
    before = by_time.get("ended before the signal", [])
    _promise_only(report, "before the signal every answer is 200 or 503", before)
    _promise_only(report, "what was sent before the signal is answered, with 200 or 503", under_way)
    _promise_only(
        report,
        "so is what was being sent as it came",
        by_time.get("sent as the signal came", []),
    )
    overlooked = [
        e
        for e in under_way
        if e.status != 200
        and _kind(e) != "queue-full"
        and (e.written_at or 0) < farewell.told_at - AT_ONCE_S
    ]
    report.promise(
        "of what was sent before the signal, what was accepted is answered 200: only a full queue "
        f"refuses it, or the draining what came in the last {AT_ONCE_S:g} s",
        listed(_outcomes(overlooked)),
        holds=not overlooked,
    )
    _promise_only(
        report,
        "who asks while it drains, on new connections, is told 503",
        by_time.get("while it drained", []),
        {503},
    )
    late = [e for e in told_for if e.begun_at > farewell.told_at + AT_ONCE_S]
    wrong = [e for e in late if e.status != 503 or json.loads(e.body)["status"] != "draining"]
    report.promise(
        f"{AT_ONCE_S:g} s after the signal, until the listener closes, /health is 503, draining",
        f"{len(late) - len(wrong)} of {len(late)}",
        holds=bool(late) and not wrong,
    )
    took_s, deadline_s = farewell.ended_at - farewell.told_at, default_of("request_timeout_s")
    drain_s = farewell.drained_at - farewell.told_at
    report.promise(
        f"it ends within CXR_DRAIN_S and CXR_REQUEST_TIMEOUT_S, {drain_s:g} and {deadline_s:g} s",
        f"{took_s:.2f} s",
        holds=took_s <= drain_s + deadline_s,
    )
    report.promise("the exit code is 0", farewell.exit_code, holds=farewell.exit_code == 0)


def _promise_only(
    report: Report,
    promise: str,
    exchanges: list[Exchange],
    allowed: frozenset[int] | set[int] = frozenset({200, 503}),
) -> None:
    holds = bool(exchanges) and {e.status for e in exchanges} <= allowed
    report.promise(promise, listed(statuses(exchanges)), holds=holds)


def _outcomes(exchanges: list[Exchange]) -> dict[str, int]:
    """Counts by status, of refusals by their kind."""
    counts: dict[str, int] = {}
    for exchange in exchanges:
        kind = _kind(exchange) if exchange.status == 503 else ""
        name = f"{exchange.status} {kind}".strip() if exchange.status else exchange.error
        counts[name] = counts.get(name, 0) + 1
    return counts


def _kind(exchange: Exchange) -> str:
    """The last word of a problem's type."""
    if exchange.status in {0, 200}:
        return ""
    return str(json.loads(exchange.body)["type"]).rpartition(":")[2]


if __name__ == "__main__":
    main()
