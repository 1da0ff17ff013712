"""`python -m benchmarks.promises.scale`: arrivals by chance, beside a simulated queue.

The simulation knows the capacity that was measured, and nothing else; it then says how many
replicas a rate and a deadline need.
"""

from __future__ import annotations

import argparse
from datetime import date

import numpy as np
from rich.console import Console

from app.runtime.devices import usable_cpus
from benchmarks.promises.queueing import replicas_for, times_in_system
from benchmarks.promises.verdict import add_common_options, percentile
from benchmarks.rig.phases import PREDICT, capacity_per_s, predictions, run_phase
from benchmarks.rig.watched_server import serving
from benchmarks.tables import machine, markdown, print_table

SHARES = (0.3, 0.5, 0.7, 0.85, 0.95)
CONNECTIONS = 64
PERCENTS = (50, 95, 99)
RATES = (10, 100, 1_000, 10_000)
DEADLINES_MS = (50, 100, 250, 1000)


def main() -> None:
    """Measure, simulate, print, and write `scale.md`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.promises.scale", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=30, help="at each rate")
    add_common_options(parser)
    options = parser.parse_args()
    seconds = 5 if options.quick else options.seconds

    cpus = usable_cpus()
    with serving(options.model, ood="off", drain_s="0") as server:  # no chest X-ray is sent
        capacity, _ = capacity_per_s(server, seconds)
        alone = run_phase(server, [predictions(1)], seconds).load.named(PREDICT)
        service_s = cpus / capacity
        rows = []
        for share in SHARES:
            lane = predictions(CONNECTIONS, share * capacity)._replace(is_by_chance=True)
            sent = run_phase(server, [lane], seconds).load.named(PREDICT)
            measured = [exchange.ms for exchange in sent if exchange.status == 200]
            simulated = times_in_system(share * capacity, service_s, cpus) * 1000
            both = [
                f"{percentile(measured, p):.0f} / {np.percentile(simulated, p):.0f}"
                for p in PERCENTS
            ]
            rows.append(
                [f"{share:.0%}", f"{share * capacity:.0f}", str(len(sent) - len(measured)), *both]
            )
    note = (
        f"{machine('ai-edge-litert')}, {date.today().isoformat()}; gray JPEG of 1024 x 1024, whose "
        f"sender has the same CPUs; {seconds:g} s at each rate over {CONNECTIONS} connections. "
        f"Capacity in a closed loop {capacity:.0f} a second, {service_s * 1000:.1f} ms of a CPU "
        f"each; alone {percentile([e.ms for e in alone], 50):.1f} ms (median)."
    )
    load = (
        (
            "of capacity",
            "arrivals/s",
            "not 200",
            *(f"p{p} ms, measured / simulated" for p in PERCENTS),
        ),
        rows,
    )
    plan = (
        ("arrivals/s", *(f"p99 in {deadline} ms" for deadline in DEADLINES_MS)),
        [
            [str(rate), *(_plan(rate, ms / 1000, service_s, cpus) for ms in DEADLINES_MS)]
            for rate in RATES
        ],
    )
    console = Console(width=140)
    for table in (load, plan):
        print_table(console, *table)
    console.print(note)
    options.out.mkdir(parents=True, exist_ok=True)
    title = f"Replicas of {cpus} CPUs that the simulation asks for:"
    texts = [note, markdown(*load), title, markdown(*plan)]
    (options.out / "scale.md").write_text("\n\n".join(texts) + "\n", encoding="utf-8")


def _plan(per_s: float, deadline_s: float, service_s: float, cpus: int) -> str:
    return str(replicas_for(per_s, deadline_s, service_s, cpus) or "never")


if __name__ == "__main__":
    main()
