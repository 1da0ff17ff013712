"""`python -m benchmarks.promises.reload`: checkpoints, good and bad, put in place under load.

A good one takes the place of the one that is served, a bad one is refused with a reason; meanwhile
every request is answered, and what health names is always a good one.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import time
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from benchmarks.report import Report, add_common_options, listed, percentile, statuses
from benchmarks.rig.checkpoints import Candidate, draw_up, put
from benchmarks.rig.generator import Generator, Load
from benchmarks.rig.phases import AT_CAPACITY, HEALTH, PREDICT, predictions, probe
from benchmarks.rig.watched_server import WatchedServer
from benchmarks.rig.wire import get

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("good", "corrupt", "wrong-shaped")
HEALTH_PER_S = 20
OUTCOME_LIMIT_S = 120
"""A good one is read and built by a process that is started for it."""
POLL_S = 0.05
PAUSE_S = 0.3
"""After each, for requests to come to what is served now."""


class Step(NamedTuple):
    """One candidate and what became of it."""

    candidate: Candidate
    seconds: float
    """From the signal until health told."""
    status: str
    reason: str | None
    served: str
    """The digest that health named then."""


def main() -> None:
    """Measure, report, and end with 1 where a guarantee does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.promises.reload", description=__doc__
    )
    parser.add_argument("--reloads", type=int, default=50)
    add_common_options(parser)
    options = parser.parse_args()
    if options.quick:
        options.reloads = 6

    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        candidates = draw_up(options.model, folder)
        good = [candidate for candidate in candidates if candidate.kind == "good"]
        served = folder / "served.h5"
        put(good[0], served)
        with (
            WatchedServer(folder / "log", model_path=str(served)) as server,
            Generator(
                server.port,
                [predictions(AT_CAPACITY), probe(HEALTH, HEALTH_PER_S, keeps_body=True)],
                seconds=options.reloads * OUTCOME_LIMIT_S,
            ) as generator,
        ):
            steps = []
            for number, candidate in enumerate(in_turn(candidates, options.reloads), 1):
                put(candidate, served)
                steps.append(reload(server, candidate))
                console.print(
                    f"[dim]{number}/{options.reloads}: {candidate.name}: {steps[-1].status} "
                    f"after {steps[-1].seconds:.2f} s"
                )
                time.sleep(PAUSE_S)
            load = generator.finish()
    report = Report(
        "reload",
        f"SIGHUP for another checkpoint {options.reloads} times, in a closed loop over "
        f"{AT_CAPACITY} connections.",
    )
    tell(report, steps, load, {candidate.sha256 for candidate in good})
    report.conclude(options.out)


def in_turn(candidates: list[Candidate], count: int) -> Iterator[Candidate]:
    """So many of them, a good one, a corrupt one, a wrong-shaped one, and again.

    The second good one first: the first is served already.
    """
    good, corrupt, wrong = ([c for c in candidates if c.kind == kind] for kind in KINDS)
    queues = [cycle(good[1:] + good[:1]), cycle(corrupt), cycle(wrong)]
    for number in range(count):
        yield next(queues[number % len(queues)])


def reload(server: WatchedServer, candidate: Candidate) -> Step:
    """Have it loaded, and wait until health tells of it."""
    before = _health(server)["reload"]
    start = server.tell(signal.SIGHUP)
    while (health := _health(server))["reload"] == before:
        if time.monotonic() - start > OUTCOME_LIMIT_S:
            health["reload"] = {"status": "nothing", "reason": None}
            break
        time.sleep(POLL_S)
    seconds, outcome = time.monotonic() - start, health["reload"]
    reason = outcome["reason"] and outcome["reason"].replace(f"{candidate.path.parent}/", "")
    return Step(candidate, seconds, outcome["status"], reason, health["model"]["sha256"])


def tell(report: Report, steps: list[Step], load: Load, good: set[str]) -> None:
    """Figures and guarantees."""
    rows = []
    for candidate in dict.fromkeys(step.candidate for step in steps):
        mine = [step for step in steps if step.candidate == candidate]
        times = [step.seconds for step in mine]
        swapped = sum(step.status == "succeeded" for step in mine)
        row = (candidate.kind, candidate.name, len(mine), swapped, median(times), max(times))
        rows.append((*row, mine[0].reason or ""))
    report.add_table(
        ("kind", "checkpoint", "times", "taken", "s, median", "s, at most", "reason"), sorted(rows)
    )
    sent, health = load.named(PREDICT), load.named(HEALTH)
    times_ms = [e.ms for e in sent]
    report.add_table(
        ("figure", "value"),
        [
            ("predictions", len(sent)),
            ("answered, requests/s", load.answered_per_s(PREDICT)),
            ("p50, ms", percentile(times_ms, 50)),
            ("p99, ms", percentile(times_ms, 99)),
            ("slowest, ms", max(times_ms)),
            ("looks at /health", len(health)),
        ],
    )
    report.add_raw(steps=[_raw(step) for step in steps])
    report.promise(
        "every request is answered 200",
        listed(statuses([*sent, *health])),
        holds={e.status for e in [*sent, *health]} == {200},
    )
    named = [json.loads(e.body)["model"]["sha256"] for e in health if e.status == 200]
    strange = sum(digest not in good for digest in named)
    report.promise(
        "the digest in /health is always that of a good checkpoint",
        f"{strange} of {len(named)} others",
        holds=bool(named) and not strange,
    )
    tried = [step for step in steps if step.candidate.kind == "good"]
    taken = [s for s in tried if s.status == "succeeded" and s.served == s.candidate.sha256]
    report.promise(
        "every good checkpoint takes the place of the other",
        f"{len(taken)} of {len(tried)}",
        holds=taken == tried,
    )
    bad = [step for step in steps if step.candidate.kind != "good"]
    refused = [step for step in bad if step.status == "failed" and step.reason]
    report.promise(
        "every bad checkpoint is refused with a reason",
        f"{len(refused)} of {len(bad)}",
        holds=refused == bad,
    )


def _health(server: WatchedServer) -> Any:
    return json.loads(server.ask(get(HEALTH)).body)


def _raw(step: Step) -> dict[str, Any]:
    values = step._asdict()
    return {**values, "candidate": f"{step.candidate.kind}: {step.candidate.name}"}


if __name__ == "__main__":
    main()
