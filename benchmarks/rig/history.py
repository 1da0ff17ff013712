"""What a server holds, second by second: memory, threads, descriptors, open tasks."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import matplotlib.pyplot as plt
import psutil

from benchmarks.rig.watched_server import WatchedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LAST = 3
"""Samples whose median is taken for the present."""
PANELS = {
    "memory_mb": "resident memory, MB",
    "threads": "threads",
    "descriptors": "file descriptors",
    "tasks": "open tasks",
}


class Sample(NamedTuple):
    """One moment; `memory_mb` is that of all processes, the rest that of the server's own."""

    seconds: float
    """Since the server was ready."""
    pid: int
    memory_mb: float
    own_memory_mb: float
    threads: float
    descriptors: float
    tasks: float
    children: float


class Span(NamedTuple):
    """A part of the time, by the seconds of its begin and end."""

    name: str
    begin: float
    end: float


class History:
    """Samples of a `self_watching_server`, taken by a thread, and what was done meanwhile."""

    def __init__(self, log: Path, **settings: str) -> None:
        self.server = WatchedServer(
            log, module="benchmarks.rig.self_watching_server", output=subprocess.PIPE, **settings
        )
        self.samples: list[Sample] = []
        self.spans: list[Span] = []
        self._start = time.monotonic()
        threading.Thread(target=self._read, daemon=True).start()

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Call what happens in the block so."""
        begin = time.monotonic() - self._start
        yield
        self.spans.append(Span(name, begin, time.monotonic() - self._start))

    def present(self) -> Sample:
        """The medians of the last few samples."""
        return Sample(*(median(values) for values in zip(*self.samples[-LAST:], strict=True)))

    def plot(self, path: Path) -> None:
        """Draw the samples over time, a panel for each kind, shaded by what was done."""
        plt.switch_backend("Agg")  # no window, wherever this runs
        figure, grid = plt.subplots(2, 2, figsize=(10, 6), sharex=True, layout="constrained")
        seconds = [sample.seconds for sample in self.samples]
        for axes, (name, title) in zip(grid.flat, PANELS.items(), strict=True):
            axes.plot(seconds, [getattr(s, name) for s in self.samples], color="C0", linewidth=1.2)
            axes.set_title(title, fontsize=10, loc="left")
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            _shade(axes, self.spans)
        for axes in grid[1]:
            axes.set_xlabel("seconds")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        figure.savefig(path, dpi=110)
        plt.close(figure)

    def _read(self) -> None:
        """Add what only another process can count to each line; until the server has ended."""
        for line in self.server.process.stdout:
            told = json.loads(line)
            try:
                sample = Sample(
                    seconds=told["at"] - self._start,
                    pid=told["pid"],
                    memory_mb=self.server.memory_mb,
                    own_memory_mb=self.server.process.memory_info().rss / 1e6,
                    threads=told["threads"],
                    descriptors=self.server.process.num_fds(),
                    tasks=told["tasks"],
                    children=len(self.server.processes()) - 1,
                )
            except psutil.NoSuchProcess:
                return
            if sample.seconds >= 0:
                self.samples.append(sample)


def _shade(axes: plt.Axes, spans: Sequence[Span]) -> None:
    """Each name has one colour, and stands in the legend once."""
    names = list(dict.fromkeys(span.name for span in spans))
    shown: set[str] = set()
    for name, begin, end in spans:
        color = f"C{1 + names.index(name)}"
        label = None if name in shown else name
        axes.axvspan(begin, end, color=color, alpha=0.12, linewidth=0, label=label)
        shown.add(name)
