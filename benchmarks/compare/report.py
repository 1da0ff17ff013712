"""Figures -> a table in the terminal, the same as Markdown, a plot, and the raw numbers."""

from __future__ import annotations

import json
from datetime import date
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import matplotlib.pyplot as plt

from benchmarks.compare.contenders import NAMES
from benchmarks.tables import machine, markdown, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


class Cell(NamedTuple):
    """One kind of load: the picture's (width, height), and clients at once."""

    size: tuple[int, int]
    connections: int

    def __str__(self) -> str:
        """As it stands in tables."""
        return f"{self.size[0]} x {self.size[1]}, {self.connections} at once"


Figures: TypeAlias = dict[tuple[Any, ...], list[float]]
"""What was found in each round, by (server, "start_s" | "memory_mb") or (server, cell, name)."""


def write_report(figures: Figures, folder: Path, console: Console) -> None:
    """Print the tables; write `serving.md`, `serving.png` and `serving.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = list(dict.fromkeys(key[1] for key in figures if isinstance(key[1], Cell)))
    header = [
        "picture, clients", "server", "requests/s", "of naive", "of floor",
        "p50, ms", "of naive", "of floor", "p95, ms", "p99, ms", "CPU ms/request", "errors",
    ]  # fmt: skip
    rows = [_row(figures, cell, name) for cell in cells for name in ("floor", *NAMES)]
    start_header = [
        "server",
        "start to first answer, s",
        "of naive",
        "resident memory, MB, at most",
    ]
    starts = [
        [
            name,
            f"{median(figures[name, 'start_s']):.1f}",
            _ratio(figures[name, "start_s"], figures["naive", "start_s"]),
            f"{max(figures[name, 'memory_mb']):.0f}",
        ]
        for name in NAMES
    ]
    rounds = len(figures["ours", "start_s"])
    where = machine("ai-edge-litert", "tensorflow", "litserve")
    note = (
        f"{where}, {date.today().isoformat()}; medians of {rounds} rounds, ratios taken "
        "within each. The floor is decoding and the model alone, no HTTP: requests/s with all CPUs "
        "at work, milliseconds one after the other."
    )
    print_table(console, header, rows)
    print_table(console, start_header, starts)
    console.print(note)
    text = "\n\n".join([note, markdown(header, rows), markdown(start_header, starts)])
    (folder / "serving.md").write_text(text + "\n")
    raw = {" | ".join(map(str, key)): values for key, values in figures.items()}
    (folder / "serving.json").write_text(json.dumps(raw, indent=1) + "\n")
    _plot({key: median(values) for key, values in figures.items()}, cells, folder / "serving.png")


def _row(figures: Figures, cell: Cell, name: str) -> list[str]:
    def of(other: str, key: str) -> str:
        return _ratio(figures[name, cell, key], figures[other, cell, key])

    rate, p50, errors = "requests_per_s", "p50_ms", figures.get((name, cell, "errors"), [0])
    row = [
        str(cell), name, f"{median(figures[name, cell, rate]):.1f}",
        of("naive", rate), of("floor", rate),
        f"{median(figures[name, cell, p50]):.1f}",
        "" if name == "floor" else of("naive", p50), "" if name == "floor" else of("floor", p50),
    ]  # fmt: skip
    for key in ("p95_ms", "p99_ms", "cpu_ms"):
        values = figures.get((name, cell, key))
        row.append(f"{median(values):.1f}" if values else "")
    return [*row, f"{sum(errors):.0f}"]


def _ratio(ours: list[float], others: list[float]) -> str:
    return f"{median(a / max(b, 1e-9) for a, b in zip(ours, others, strict=True)):.2f}"


def _plot(middle: dict[tuple[Any, ...], float], cells: list[Cell], path: Path) -> None:
    usual = cells[0].size
    by_clients = [cell for cell in cells if cell.size == usual]
    eight = [cell for cell in cells if cell.connections == 8]
    by_size = sorted(eight, key=lambda cell: cell.size[0] * cell.size[1])
    plt.switch_backend("Agg")  # no window, wherever this runs
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    colors = {"floor": "0.6", "ours": "C0", "LitServe": "C1", "naive": "C3"}
    for name, color in colors.items():
        for axes, chosen in ((left, by_clients), (right, by_size)):
            rates = [middle[name, cell, "requests_per_s"] for cell in chosen]
            style = {"linestyle": "--"} if name == "floor" else {"marker": "o"}
            axes.plot(range(len(chosen)), rates, color=color, label=name, **style)
    left.set_xticks(range(len(by_clients)), [str(cell.connections) for cell in by_clients])
    left.set_xlabel(f"clients at once, JPEG of {usual[0]} x {usual[1]}")
    right.set_xticks(range(len(by_size)), [f"{w} x {h}" for (w, h), _ in by_size])
    right.set_xlabel("size of the JPEG, 8 clients at once")
    left.set_ylabel("requests/s")
    left.set_yscale("log")
    left.yaxis.set_major_formatter(plt.FuncFormatter(lambda value, _: f"{value:g}"))
    for axes in (left, right):
        axes.grid(alpha=0.3, which="both")
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
