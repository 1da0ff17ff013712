"""`make bench`: our service, the naive one and LitServe under the same load, round by round."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console

from app.settings import read_settings
from app.xray.checkpoint import read_checkpoint
from benchmarks.compare.contenders import NAMES, Contender
from benchmarks.compare.floor import Floor
from benchmarks.compare.load import put_load, require_wrk
from benchmarks.compare.report import Cell, Figures, write_report
from benchmarks.rig.pictures import form, gray_jpeg

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
    parser.add_argument("--quick", action="store_true", help="one round, windows of 3 seconds")
    parser.add_argument("--model", type=Path, default=Path("models/best_model.h5"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 3
    require_wrk()

    console = Console(width=None if sys.stdout.isatty() else 140)
    checkpoint = read_checkpoint(options.model)
    floor = Floor(checkpoint, read_settings().cache_dir)
    pictures = {size: gray_jpeg(*size) for size in {cell.size for cell in CELLS}}
    figures: Figures = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        bodies = {}
        for size, picture in pictures.items():
            bodies[size] = Path(folder) / f"{size[0]}x{size[1]}"
            bodies[size].write_bytes(form(picture))
        for round_ in range(options.rounds):
            with ExitStack() as stack:
                running = []
                for name in NAMES[round_ % len(NAMES) :] + NAMES[: round_ % len(NAMES)]:
                    log = Path(folder) / f"{name}.log"
                    running.append(Contender(name, options.model, form(pictures[SIDE]), log))
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
                        measure(contender, cell, bodies[cell.size], options.seconds, figures)
    write_report(figures, options.out, console)


def measure(contender: Contender, cell: Cell, body: Path, seconds: float, figures: Figures) -> None:
    """One window of load on one server, after a short one to get going."""
    with contender:
        put_load(contender.url, body, connections=cell.connections, seconds=1)
        contender.settle()
        before = contender.cpu_s
        load = put_load(contender.url, body, connections=cell.connections, seconds=seconds)
        spent = contender.cpu_s - before
        figures[contender.name, "memory_mb"].append(contender.memory_mb)
        contender.settle()
    for name in ("requests_per_s", "p50_ms", "p95_ms", "p99_ms", "errors"):
        figures[contender.name, cell, name].append(getattr(load, name))
    figures[contender.name, cell, "cpu_ms"].append(spent / max(load.requests, 1) * 1000)


if __name__ == "__main__":
    main()
