"""What was promised, held against what was found: one report for each such script."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from app.settings import Settings
from benchmarks.tables import machine, markdown, print_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from benchmarks.rig.client import Exchange

RESULTS = Path("benchmarks/results")
MODEL = Path("models/best_model.h5")


class Guarantee(NamedTuple):
    """A promise, what was found, and whether that keeps it."""

    promise: str
    found: str
    holds: bool


class Report:
    """Figures and guarantees of one run; `note` says what was done, in a sentence or two."""

    def __init__(self, name: str, note: str) -> None:
        self._name = name
        self._note = note
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

    def conclude(self, folder: Path) -> None:
        """Print all, write it into `folder`; end the process with 1 where a guarantee fails."""
        console = Console(width=None if sys.stdout.isatty() else 140)
        note = f"{machine('ai-edge-litert')}, {date.today().isoformat()}; {self._note}"
        header = ("guarantee", "found", "holds")
        held = [(g.promise, g.found, "yes" if g.holds else "NO") for g in self._guarantees]
        tables = [
            (names, [[_shown(v) for v in row] for row in rows]) for names, rows in self._tables
        ]
        for table in tables:
            print_table(console, *table, wraps=True)
        print_table(console, header, held, wraps=True)
        console.print(note)

        folder.mkdir(parents=True, exist_ok=True)
        texts = [note, *(markdown(*table) for table in tables), markdown(header, held)]
        (folder / f"{self._name}.md").write_text("\n\n".join(texts) + "\n")
        content = {
            "note": note,
            "tables": [{"header": names, "rows": rows} for names, rows in self._tables],
            "guarantees": [guarantee._asdict() for guarantee in self._guarantees],
            **self._raw,
        }
        (folder / f"{self._name}.json").write_text(json.dumps(content, indent=1) + "\n")
        broken = [f"{g.promise}: found {g.found}" for g in self._guarantees if not g.holds]
        if broken:
            sys.exit(f"{self._name}: does not hold: {'; '.join(broken)}")


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


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """What every such script is told."""
    parser.add_argument("--quick", action="store_true", help="a first look, in seconds")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--out", type=Path, default=RESULTS)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
