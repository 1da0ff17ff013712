"""Figures -> a table in the terminal, the same as Markdown, a plot, and the raw numbers."""

from __future__ import annotations

import json
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import matplotlib.pyplot as plt
from rich.table import Column, Table

from app.devices import usable_cpus
from benchmarks.contenders import NAMES

if TYPE_CHECKING:
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
    """Print the table; write `serving.md`, `serving.png` and `serving.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    middle = {key: median(values) for key, values in figures.items()}
    cells = list(dict.fromkeys(key[1] for key in figures if isinstance(key[1], Cell)))
    rounds = len(figures["ours", "start_s"])
    header = [
        "picture, clients", "server", "requests/s", "of naive", "of floor",
        "p50, ms", "p95", "p99", "CPU ms/request", "errors",
    ]  # fmt: skip
    rows = [_row(middle, cell, name) for cell in cells for name in ("floor", *NAMES)]
    starts = [
        [name, f"{middle[name, 'start_s']:.1f}", f"{max(figures[name, 'memory_mb']):.0f}"]
        for name in NAMES
    ]
    start_header = ["server", "start to first answer, s", "largest resident memory, MB"]
    _print(console, header, rows)
    _print(console, start_header, starts)
    note = f"{_machine()}, {date.today().isoformat()}; medians of {rounds} rounds."
    console.print(note)
    text = "\n\n".join([note, _markdown(header, rows), _markdown(start_header, starts)])
    (folder / "serving.md").write_text(text + "\n")
    raw = {" | ".join(map(str, key)): values for key, values in figures.items()}
    (folder / "serving.json").write_text(json.dumps(raw, indent=1) + "\n")
    _plot(middle, cells, folder / "serving.png")


def _row(middle: dict[tuple[Any, ...], float], cell: Cell, name: str) -> list[str]:
    rate = middle[name, cell, "requests_per_s"]
    shares = [
        f"{rate / max(middle['naive', cell, 'requests_per_s'], 0.01):.1f} x",
        f"{rate / middle['floor', cell, 'requests_per_s']:.2f}",
    ]
    rest = ["p50_ms", "p95_ms", "p99_ms", "cpu_ms"]
    numbers = [middle.get((name, cell, key)) for key in rest]
    return [
        str(cell), name, f"{rate:.1f}", *shares,
        *("" if number is None else f"{number:.1f}" for number in numbers),
        f"{middle.get((name, cell, 'errors'), 0):.0f}",
    ]  # fmt: skip


def _print(console: Console, header: list[str], rows: list[list[str]]) -> None:
    table = Table(*(Column(name, no_wrap=True) for name in header))
    for number, row in enumerate(rows):
        table.add_row(*row, end_section=number + 1 < len(rows) and rows[number + 1][0] != row[0])
    console.print(table)


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine() -> str:
    """The CPU's name as Linux has it, how many of it, and the versions that matter."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ] if Path("/proc/cpuinfo").exists() else [platform.processor()]  # fmt: skip
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("ai-edge-litert", "tensorflow", "litserve")
    )
    return (
        f"{usable_cpus()} of {os.cpu_count()} CPUs ({names[0] if names else 'unknown'}), "
        f"Python {platform.python_version()}, {versions}"
    )


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
