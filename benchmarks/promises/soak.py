"""`make soak`: broken uploads for minutes, then clients without manners; what the server holds.

Sound uploads between the broken ones are answered, nothing breaks the server, and in the end it
holds no more than it did near the beginning.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.report import Report, add_common_options, listed, statuses
from benchmarks.rig.bad_manners import misbehave
from benchmarks.rig.generator import Lane, put_load
from benchmarks.rig.history import PANELS, History, Sample
from benchmarks.rig.mutated_uploads import MUTATED, SOUND, SOUND_EVERY, kind_of, uploads

if TYPE_CHECKING:
    from benchmarks.rig.client import Exchange

CONNECTIONS = 8
REST_S = 14
"""Longer than the server keeps a connection that says nothing, and a few samples more."""
SLOWEST_S = 0.2
"""An upload takes less, on average; else the soak is ended."""
MOST_GROWTH = 0.1
SLACK = {"threads": 2, "descriptors": 4, "tasks": 2}
MOST_ERROR_LINES = 50


def main() -> None:
    """Measure, report, and end with 1 where a guarantee does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promises.soak", description=__doc__)
    parser.add_argument("--uploads", type=int, default=20_000, help="broken ones")
    parser.add_argument("--first", type=int, default=2000, help="of them, before the comparison")
    parser.add_argument("--seed", type=int, default=0)
    add_common_options(parser)
    options = parser.parse_args()
    if options.quick:
        options.uploads, options.first = 600, 300
    options.first = min(options.first, options.uploads // 2)

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        history = History(log, model_path=str(options.model))
        with history.server:
            soak = Soak(history, options.seed)
            soak.send(options.first)
            early = soak.rest()
            soak.send(options.uploads - options.first)
            soak.misbehave()
            late = soak.rest()
            is_same = soak.is_same_process()
        lines = [line for line in log.read_text().splitlines() if " ERROR " in line]
    report = Report(
        "soak",
        f"{options.uploads} mutated uploads (seed {options.seed}) over {CONNECTIONS} connections, "
        f"a sound one every {SOUND_EVERY}, then clients that hang up, trickle or say nothing; "
        f"compared at rest, after the first {options.first} uploads and at the end.",
    )
    report.add_raw(
        samples=[sample._asdict() for sample in history.samples],
        spans=[span._asdict() for span in history.spans],
        errors_logged=lines[:MOST_ERROR_LINES],
    )
    options.out.mkdir(parents=True, exist_ok=True)
    history.plot(options.out / "soak.png")
    tell(report, soak, options.uploads, is_same=is_same)
    tell_growth(report, early, late, max_growth=MOST_GROWTH)
    report.conclude(options.out)


class Soak:
    """The phases, and what became of what they sent."""

    def __init__(self, history: History, seed: int) -> None:
        self.exchanges: list[Exchange] = []
        self.manners: Counter[str] = Counter()
        self.seconds = 0.0
        self._history = history
        self._seed = seed
        self._born = self._identity()
        self._console = Console()

    def send(self, count: int) -> None:
        """So many mutated uploads, others than before."""
        self._console.print(f"[dim]{count} mutated uploads")
        self._seed += 1
        lane = Lane(partial(uploads, count, self._seed), CONNECTIONS)
        with self._history.span("uploads"):
            load = put_load(self._history.server.port, [lane], seconds=60 + count * SLOWEST_S)
        self.exchanges += load.exchanges
        self.seconds += load.seconds

    def misbehave(self) -> None:
        """Clients without manners."""
        self._console.print("[dim]clients without manners")
        with self._history.span("clients without manners"):
            self.manners += misbehave(self._history.server.port)

    def rest(self) -> Sample:
        """Nothing, for some seconds; what the server holds then."""
        self._console.print("[dim]rest")
        with self._history.span("rest"):
            time.sleep(REST_S)
        return self._history.present()

    def is_same_process(self) -> bool:
        """Whether the server is the process that was started, and was all the time."""
        pids = {sample.pid for sample in self._history.samples}
        return self._identity() == self._born and pids == {self._history.server.process.pid}

    def _identity(self) -> tuple[int, float] | None:
        process = self._history.server.process
        return (process.pid, process.create_time()) if process.is_running() else None


def tell(report: Report, soak: Soak, count: int, *, is_same: bool) -> None:
    """What became of uploads and clients."""
    by_kind: dict[str, list[Exchange]] = {MUTATED: [], SOUND: []}
    for exchange in soak.exchanges:
        by_kind[kind_of(exchange.name)].append(exchange)
    report.add_table(
        ("uploads", "became of them"),
        [(name, listed(statuses(exchanges))) for name, exchanges in by_kind.items()],
    )
    report.add_table(
        ("clients without manners", "times"), [(n, c) for n, c in sorted(soak.manners.items())]
    )
    report.add_table(
        ("figure", "value"), [("uploads/s, on average", len(soak.exchanges) / soak.seconds)]
    )
    broken = [e for e in soak.exchanges if e.status == 0 or (e.status >= 500 and e.status != 503)]
    report.add_raw(failed=[(e.name, e.status, e.error) for e in broken])
    sent = len(by_kind[MUTATED])
    report.promise("every mutated upload was sent", f"{sent} of {count}", holds=sent == count)
    report.promise(
        "every upload is answered, never with 5xx but 503",
        listed(statuses(broken)),
        holds=not broken,
    )
    refused = [e for e in by_kind[SOUND] if e.status != 200]
    report.promise(
        "every sound upload is answered 200",
        f"{len(by_kind[SOUND]) - len(refused)} of {len(by_kind[SOUND])}",
        holds=bool(by_kind[SOUND]) and not refused,
    )
    expected = {"slow body: 200", "slow head: 408", "idle: 408"}
    others = {n: c for n, c in soak.manners.items() if n not in expected and "hung up" not in n}
    report.promise(
        "who sends slowly is answered 200, who does not end a head is told 408",
        listed(others),
        holds=not others,
    )
    report.promise("the server's process is the same all the time", is_same, holds=is_same)


def tell_growth(report: Report, early: Sample, late: Sample, *, max_growth: float) -> None:
    """What the server holds at the end, beside what it held near the beginning."""
    names = {**PANELS, "own_memory_mb": "of the memory, the first process'", "children": "children"}
    report.add_table(
        ("held at rest", "early", "at the end"),
        [(title, getattr(early, name), getattr(late, name)) for name, title in names.items()],
    )
    growth = late.memory_mb / early.memory_mb - 1
    report.promise(
        f"resident memory grows by {max_growth:.0%} at most",
        f"{growth:+.1%}",
        holds=growth <= max_growth,
    )
    for name, slack in SLACK.items():
        more = getattr(late, name) - getattr(early, name)
        report.promise(
            f"{PANELS[name]}: at most {slack} more at the end", f"{more:+g}", holds=more <= slack
        )


if __name__ == "__main__":
    main()
