"""`make bench`: our service, the naive one and LitServe under the same load, round by round."""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console

from app.inference.loading import load_classifier
from app.settings import read_settings
from benchmarks.compare.contenders import NAMES, Contender
from benchmarks.compare.figures import Cell, Figures, plot, tell
from benchmarks.compare.floor import Floor
from benchmarks.report import Report, add_common_options, percentile
from benchmarks.rig.client import Request
from benchmarks.rig.generator import Lane, always, put_load
from benchmarks.rig.phases import PREDICT
from benchmarks.rig.pictures import form, gray_jpeg
from benchmarks.rig.wire import post

SIDE: Final = (1024, 1024)
CELLS: Final = [
    *(Cell(SIDE, connections) for connections in (1, 8, 32, 64)),
    *(Cell(size, 8) for size in ((512, 512), (2048, 2048), (3000, 2500))),
]
FLOOR_WINDOW_S: Final = 2


def main() -> None:
    """Measure, print a table, and save table, plot and raw figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="of each window of load")
    add_common_options(parser)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 3

    console = Console()
    floor = Floor(load_classifier(read_settings(model_path=options.model)))
    pictures = {size: gray_jpeg(*size) for size in {cell.size for cell in CELLS}}
    figures: Figures = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(options.rounds):
            with ExitStack() as stack:
                running = []
                for name in NAMES[round_ % len(NAMES) :] + NAMES[: round_ % len(NAMES)]:
                    log = Path(folder) / f"{name}.log"
                    running.append(Contender(name, options.model, pictures[SIDE], log))
                    stack.callback(running[-1].kill)
                    figures[name, "start_s"].append(running[-1].start_s)
                for cell in CELLS:
                    console.print(f"[dim]round {round_ + 1}/{options.rounds}: {cell}")
                    picture = pictures[cell.size]
                    rate = floor.requests_per_s(picture, FLOOR_WINDOW_S)
                    figures["floor", cell, "requests_per_s"].append(rate)
                    latency = floor.latency_ms(picture, FLOOR_WINDOW_S)
                    figures["floor", cell, "p50_ms"].append(latency)
                    for contender in running:
                        measure(contender, cell, picture, options.seconds, figures)
    report = Report(
        "serving",
        f"medians of {options.rounds} rounds of {options.seconds:g} s, ratios taken within each. "
        "The floor is decoding and the model alone, no HTTP: requests/s with all CPUs at work, "
        "milliseconds one after the other.",
        ("openvino", "tensorflow", "litserve"),
    )
    tell(report, figures)
    report.conclude(options.out)
    plot(figures, options.out / "serving.png")


def measure(
    contender: Contender, cell: Cell, picture: bytes, seconds: float, figures: Figures
) -> None:
    """One window of load on one server, after a short one to get going."""
    lane = Lane(always(Request(PREDICT, post(form(picture)))), cell.connections)
    with contender:
        put_load(contender.port, [lane], seconds=1)
        contender.settle()
        before = contender.cpu_s
        load = put_load(contender.port, [lane], seconds=seconds)
        spent = contender.cpu_s - before
        figures[contender.name, "memory_mb"].append(contender.memory_mb)
        contender.settle()
    times_ms = [exchange.ms for exchange in load.exchanges if exchange.status == 200]
    found = {
        "requests_per_s": load.answered_per_s(PREDICT),
        **{f"p{percent}_ms": percentile(times_ms, percent) for percent in (50, 95, 99)},
        "errors": len(load.exchanges) - len(times_ms),
        "cpu_ms": spent / max(len(times_ms), 1) * 1000,
    }
    for name, value in found.items():
        figures[contender.name, cell, name].append(value)


if __name__ == "__main__":
    main()
