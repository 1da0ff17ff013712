"""What a script here found, told once: tables in the terminal, as Markdown, and raw as JSON."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from app.runtime.devices import usable_cpus
from app.settings import Settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from benchmarks.rig.client import Exchange

RESULTS = Path("benchmarks/results")
MODEL = Path("models/best_model.h5")
_WIDEST_FIRST = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
"""Flags of /proc/cpuinfo."""


class Guarantee(NamedTuple):
    """A promise, what was found, and whether that keeps it."""

    promise: str
    found: str
    holds: bool


class Report:
    """Figures of one run, and the guarantees that were held against them.

    `note` says what was done, in a sentence or two; the machine, the date and the versions of
    `packages` are put before it.
    """

    def __init__(self, name: str, note: str, packages: Sequence[str] = ("openvino",)) -> None:
        self._name = name
        self._note = f"{machine(*packages)}, {date.today().isoformat()}; {note}"
        self._tables: list[tuple[Sequence[str], list[list[object]]]] = []
        self._guarantees: list[Guarantee] = []
        self._raw: dict[str, Any] = {}

    def add_table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Figures as rows; numbers are shown rounded to what they are worth."""
        self._tables.append((header, [list(row) for row in rows]))

    def add_raw(self, **values: Any) -> None:
        """What only the JSON file holds; anything that JSON knows."""
        self._raw.update(values)

    def promise(self, promise: str, found: object, *, holds: bool) -> None:
        """Note a guarantee and whether it holds."""
        self._guarantees.append(Guarantee(promise, _shown(found), holds))

    def conclude(self, folder: Path | None = None) -> None:
        """Print all, and write it into `folder` if there is one.

        Ends the process with 1 where a guarantee fails.
        """
        console = Console(width=None if sys.stdout.isatty() else 140)
        tables: list[tuple[Sequence[str], list[list[str]]]] = [
            (names, [[_shown(v) for v in row] for row in rows]) for names, rows in self._tables
        ]
        if self._guarantees:
            held = [[g.promise, g.found, "yes" if g.holds else "NO"] for g in self._guarantees]
            tables.append((("guarantee", "found", "holds"), held))
        for table in tables:
            _print_table(console, *table)
        console.print(self._note)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            texts = [self._note, *(_markdown(*table) for table in tables)]
            (folder / f"{self._name}.md").write_text("\n\n".join(texts) + "\n")
            content = {
                "note": self._note,
                "tables": [{"header": names, "rows": rows} for names, rows in self._tables],
                "guarantees": [guarantee._asdict() for guarantee in self._guarantees],
                **self._raw,
            }
            (folder / f"{self._name}.json").write_text(json.dumps(content, indent=1) + "\n")
        broken = [f"{g.promise}: found {g.found}" for g in self._guarantees if not g.holds]
        if broken:
            sys.exit(f"{self._name}: does not hold: {'; '.join(broken)}")


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """What every script that writes its results is told."""
    parser.add_argument("--quick", action="store_true", help="a first look, in seconds")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--out", type=Path, default=RESULTS)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many per cent do not exceed (nearest rank); NaN where there are none."""
    if not values:
        return math.nan
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def statuses(exchanges: Iterable[Exchange]) -> dict[str, int]:
    """How often each status was answered, and each error in place of an answer."""
    return dict(Counter(str(e.status or e.error) for e in exchanges).most_common())


def listed(counts: dict[str, int]) -> str:
    """Counts as words."""
    return ", ".join(f"{count} x {name}" for name, count in counts.items()) or "none"


def default_of(setting: str) -> float:
    """What the service does where nobody says otherwise."""
    return float(Settings.model_fields[setting].default)


def machine(*packages: str) -> str:
    """The CPU's name as Linux has it, how many of it, and the versions that matter.

    Names can hide the generation ("AMD EPYC"), so the widest instructions for networks go with it.
    """
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = told.get("model name") or platform.processor() or "unknown"
    able = set(told.get("flags", "").split())
    name = ", ".join([name, *[wide for wide in _WIDEST_FIRST if wide in able][:1]])
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        f"{usable_cpus()} of {os.cpu_count()} CPUs ({name}), "
        f"Python {platform.python_version()}, {versions}"
    )


def _print_table(console: Console, header: Sequence[str], rows: list[list[str]]) -> None:
    """Show a table; where its first column groups rows, with a line between the groups."""
    table = Table(*header)
    firsts = [row[0] for row in rows]
    has_groups = len(set(firsts)) < len(firsts)
    for row, following in zip(rows, [*firsts[1:], None], strict=True):
        table.add_row(*row, end_section=has_groups and following not in {row[0], None})
    console.print(table)


def _markdown(header: Sequence[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
