"""What was measured of each server, as rows of tables and as a plot."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator

from benchmarks.compare.contenders import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.report import Report


class Cell(NamedTuple):
    """One kind of load: the picture's (width, height), and clients at once."""

    size: tuple[int, int]
    connections: int

    def __str__(self) -> str:
        """As it stands in tables."""
        return f"{self.size[0]} x {self.size[1]}, {self.connections} at once"


Figures: TypeAlias = dict[tuple[Any, ...], list[float]]
"""What was found in each round, by (server, "start_s" | "memory_mb") or (server, cell, name)."""


def tell(report: Report, figures: Figures) -> None:
    """Add the tables, and each figure of each round, to `report`."""
    report.add_table(
        (
            "picture, clients", "server", "requests/s", "of naive", "of floor",
            "p50, ms", "of naive", "of floor", "p95, ms", "p99, ms", "CPU ms/request", "errors",
        ),
        [_row(figures, cell, name) for cell in _cells(figures) for name in ("floor", *NAMES)],
    )  # fmt: skip
    report.add_table(
        ("server", "start to first answer, s", "of naive", "resident memory, MB, at most"),
        [
            (
                name,
                median(figures[name, "start_s"]),
                _ratio(figures[name, "start_s"], figures["naive", "start_s"]),
                max(figures[name, "memory_mb"]),
            )
            for name in NAMES
        ],
    )
    report.add_raw(figures={" | ".join(map(str, key)): found for key, found in figures.items()})


def plot(figures: Figures, path: Path) -> None:
    """Draw requests a second, by clients at once and by size of picture."""
    middle = {key: median(values) for key, values in figures.items()}
    cells = _cells(figures)
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
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter("")
    for axes in (left, right):
        axes.grid(alpha=0.3, which="both")
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _cells(figures: Figures) -> list[Cell]:
    return list(dict.fromkeys(key[1] for key in figures if isinstance(key[1], Cell)))


def _row(figures: Figures, cell: Cell, name: str) -> list[object]:
    def of(other: str, key: str) -> float:
        return _ratio(figures[name, cell, key], figures[other, cell, key])

    rate, p50, is_floor = "requests_per_s", "p50_ms", name == "floor"
    row: list[object] = [
        str(cell), name, median(figures[name, cell, rate]), of("naive", rate), of("floor", rate),
        median(figures[name, cell, p50]),
        "" if is_floor else of("naive", p50), "" if is_floor else of("floor", p50),
    ]  # fmt: skip
    for key in ("p95_ms", "p99_ms", "cpu_ms"):
        values = figures.get((name, cell, key))
        row.append(median(values) if values else "")
    return [*row, int(sum(figures.get((name, cell, "errors"), [0])))]


def _ratio(ours: list[float], others: list[float]) -> float:
    return median(a / max(b, 1e-9) for a, b in zip(ours, others, strict=True))
