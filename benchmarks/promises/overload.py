"""`python -m benchmarks.promises.overload`: four times the requests that can be answered.

Who is refused is told so at once, who is accepted is answered as before, and health goes on
answering.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.report import (
    Report,
    add_common_options,
    default_of,
    listed,
    percentile,
    statuses,
)
from benchmarks.rig.phases import (
    AT_CAPACITY,
    HEALTH,
    LIVE,
    PREDICT,
    Phase,
    capacity_per_s,
    predictions,
    probe,
    run_phase,
)
from benchmarks.rig.watched_server import serving

if TYPE_CHECKING:
    from benchmarks.rig.generator import Load

TIMES = 4
CONNECTIONS = 64
MAX_QUEUE = 16
PROBES = (HEALTH, LIVE)
PROBES_PER_S = 10
REFUSAL_LIMIT_MS = PROBE_LIMIT_MS = 100
CPUS = {
    "the server": "server_cpus",
    "what sends": "generator_cpus",
    "anything": "machine_cpus",
}
LEAST_SHARE = 0.9
"""Of the capacity, that is still used for answers when four times as much is asked."""


def main() -> None:
    """Measure, report, and end with 1 where a guarantee does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.promises.overload", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=60, help="of overload")
    parser.add_argument("--capacity-seconds", type=float, default=10, help="before and after")
    parser.add_argument("--max-queue", type=int, default=MAX_QUEUE, help="CXR_MAX_QUEUE")
    add_common_options(parser)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.capacity_seconds = 8, 4

    with serving(options.model, max_queue=str(options.max_queue)) as server:
        before, calm = capacity_per_s(server, options.capacity_seconds)
        lanes = [
            predictions(CONNECTIONS, TIMES * before),
            probe(HEALTH, PROBES_PER_S),
            probe(LIVE, PROBES_PER_S),
        ]
        overload = run_phase(server, lanes, options.seconds)
        after, _ = capacity_per_s(server, options.capacity_seconds)
    report = Report(
        "overload",
        f"{TIMES} times the capacity (a closed loop over {AT_CAPACITY} connections, before and "
        f"after) offered over {CONNECTIONS} connections for {options.seconds:g} s, "
        f"CXR_MAX_QUEUE={options.max_queue}.",
    )
    tell(report, (before, after), calm, overload)
    report.conclude(options.out)


def tell(report: Report, capacities: tuple[float, float], calm: Phase, overload: Phase) -> None:
    """Figures and guarantees."""
    load = overload.load
    sent = load.named(PREDICT)
    capacity = sum(capacities) / 2
    answered = load.answered_per_s(PREDICT)
    answers = [e.ms for e in sent if e.status == 200]
    refusals = [e.ms for e in sent if e.status == 503]
    report.add_table(
        ("figure", "value"),
        [
            ("capacity before, answers/s", capacities[0]),
            ("capacity after, answers/s", capacities[1]),
            ("to be offered, requests/s", TIMES * capacities[0]),
            ("offered, requests/s", len(sent) / load.seconds),
            ("answered, requests/s", answered),
            ("answered, of capacity", answered / capacity),
            ("by status", listed(statuses(sent))),
            ("transport errors", sum(not e.status for e in load.exchanges)),
        ],
    )
    times = {"answered": answers, "refused": refusals, **{p: _ms(load, p) for p in PROBES}}
    report.add_table(
        ("milliseconds", "requests", "p50", "p99", "slowest"),
        [
            (name, len(ms), percentile(ms, 50), percentile(ms, 99), percentile(ms, 100))
            for name, ms in times.items()
        ],
    )
    report.add_table(
        ("CPUs busy with", "at capacity", "overloaded"),
        [(what, getattr(calm, name), getattr(overload, name)) for what, name in CPUS.items()],
    )
    report.promise(
        "every prediction is answered with 200 or 503",
        listed(statuses(sent)),
        holds={e.status for e in sent} <= {200, 503},
    )
    without = sum(e.status == 503 and not e.has_retry_after for e in load.exchanges)
    report.promise("every 503 says Retry-After", f"{without} without", holds=without == 0)
    _promise_p99(report, "a refusal", refusals, REFUSAL_LIMIT_MS)
    deadline_ms = default_of("request_timeout_s") * 1000
    _promise_p99(report, "an answer", answers, deadline_ms)
    for path in PROBES:
        wrong = [e for e in load.named(path) if e.status != 200]
        report.promise(f"{path} is always 200", listed(statuses(wrong)), holds=not wrong)
        _promise_p99(report, path, _ms(load, path), PROBE_LIMIT_MS)
    report.promise(
        f"answers/s stay at {LEAST_SHARE:.0%} of the capacity or above",
        f"{answered / capacity:.1%}",
        holds=answered >= LEAST_SHARE * capacity,
    )


def _promise_p99(report: Report, what: str, times_ms: list[float], limit_ms: float) -> None:
    """That it takes less than the limit; there must be some of it."""
    found = percentile(times_ms, 99)
    report.promise(
        f"{what} takes less than {limit_ms:g} ms (p99)", f"{found:.1f} ms", holds=found < limit_ms
    )


def _ms(load: Load, name: str) -> list[float]:
    return [exchange.ms for exchange in load.named(name)]


if __name__ == "__main__":
    main()
