"""`python -m benchmarks.promises.farewell`: SIGTERM at half, and at four times, the capacity.

Health says at once that the server leaves. Requests are served as before until the drain is over,
those included that come after the signal: at half the capacity all of them, at four times it those
that a full queue would not have refused anyway. Then the process ends by itself.
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
)
from benchmarks.rig.generator import Generator, Load
from benchmarks.rig.phases import HEALTH, PREDICT, capacity_per_s, predictions, probe
from benchmarks.rig.watched_server import WatchedServer, serving

if TYPE_CHECKING:
    from benchmarks.rig.client import Exchange

HALF = 0.5
"""Of the capacity: a load at which no request has a reason of its own to be refused."""
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

    farewells, capacity = {}, float("nan")
    for times in (HALF, TIMES):
        with serving(
            options.model, max_queue=str(MAX_QUEUE), drain_s=f"{options.drain_seconds:g}"
        ) as server:
            if times == HALF:
                capacity, _ = capacity_per_s(server, options.capacity_seconds)
            farewells[times] = end(server, times * capacity, options.seconds, options.drain_seconds)
    report = Report(
        "farewell",
        f"{HALF:g} and {TIMES} times the capacity of {capacity:.0f} answers/s offered over "
        f"{CONNECTIONS} connections, SIGTERM after {options.seconds:g} s, "
        f"CXR_DRAIN_S={options.drain_seconds:g}, CXR_MAX_QUEUE={MAX_QUEUE}.",
    )
    for times, farewell in farewells.items():
        tell(report, farewell, times)
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


def tell(report: Report, farewell: Farewell, times: float) -> None:
    """Figures and guarantees of one farewell, at `times` the capacity."""
    at = f"at {times:g} times the capacity"
    by_time: dict[str, list[Exchange]] = {}
    for exchange in farewell.load.named(PREDICT):
        by_time.setdefault(farewell.when(exchange), []).append(exchange)
    health = [e for e in farewell.load.named(HEALTH) if e.begun_at > farewell.told_at]
    told_for = [e for e in health if e.begun_at <= farewell.drained_at - AT_ONCE_S]
    report.add_table(
        (f"predictions {at}", "became of them"),
        [(name, listed(_outcomes(exchanges))) for name, exchanges in by_time.items()],
    )
    under_way = by_time.get("under way at the signal", [])
    new = by_time.get("sent as the signal came", []) + by_time.get("while it drained", [])
    report.add_table(
        (f"figure {at}", "value"),
        [
            ("signal to exit, s", farewell.ended_at - farewell.told_at),
            ("exit code", farewell.exit_code),
            ("new requests while it drained", len(new)),
            ("of them answered 200", sum(e.status == 200 for e in new)),
            ("/health while it drained, p99, ms", percentile([e.ms for e in told_for], 99)),
        ],
    )
    for who, exchanges in {
        "what ended before the signal": by_time.get("ended before the signal", []),
        "what was under way at it": under_way,
        "what came after it, on connections new and old, until the drain was over": new,
    }.items():
        if exchanges is under_way and not under_way and times < 1:
            continue  # below the capacity the signal may fall between two requests
        _promise_served(report, f"{at}: {who}", exchanges, is_overload=times > 1)
    late = [e for e in told_for if e.begun_at > farewell.told_at + AT_ONCE_S]
    wrong = [e for e in late if e.status != 503 or json.loads(e.body)["status"] != "draining"]
    report.promise(
        f"{at}: {AT_ONCE_S:g} s after the signal, until the listener closes, /health is 503, "
        "draining",
        f"{len(late) - len(wrong)} of {len(late)}",
        holds=bool(late) and not wrong,
    )
    took_s, deadline_s = farewell.ended_at - farewell.told_at, default_of("request_timeout_s")
    drain_s = farewell.drained_at - farewell.told_at
    report.promise(
        f"{at}: it ends within CXR_DRAIN_S and CXR_REQUEST_TIMEOUT_S, {drain_s:g} and "
        f"{deadline_s:g} s",
        f"{took_s:.2f} s",
        holds=took_s <= drain_s + deadline_s,
    )
    report.promise(f"{at}: the exit code is 0", farewell.exit_code, holds=farewell.exit_code == 0)


def _promise_served(
    report: Report, who: str, exchanges: list[Exchange], *, is_overload: bool
) -> None:
    """That all are answered 200; in an overload, that nothing but a full queue refuses any."""
    allowed = {"200", "503 queue-full"} if is_overload else {"200"}
    outcomes = _outcomes(exchanges)
    refused = sum(count for outcome, count in outcomes.items() if outcome not in allowed)
    words = "is answered 200, but for a full queue" if is_overload else "is answered 200"
    report.promise(
        f"{who}, {words}",
        f"{refused} of {len(exchanges)} not; {listed(outcomes)}",
        holds=bool(exchanges) and not refused,
    )


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
