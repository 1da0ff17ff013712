"""Tables for the terminal and as Markdown, and the machine that their figures are from."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Column, Table

from app.runtime.devices import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console


def print_table(
    console: Console, header: Sequence[str], rows: Sequence[Sequence[str]], *, wraps: bool = False
) -> None:
    """Show a table; where its first column groups rows, with a line between the groups."""
    table = Table(*(Column(name, no_wrap=not wraps) for name in header))
    firsts = [row[0] for row in rows]
    has_groups = len(set(firsts)) < len(firsts)
    for row, following in zip(rows, [*firsts[1:], None], strict=True):
        table.add_row(*row, end_section=has_groups and following not in {row[0], None})
    console.print(table)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine(*packages: str) -> str:
    """The CPU's name as Linux has it, how many of it, and the versions that matter."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ] if Path("/proc/cpuinfo").exists() else [platform.processor()]  # fmt: skip
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{usable_cpus()} of {os.cpu_count()} CPUs ({names[0] if names else 'unknown'}), "
        f"Python {platform.python_version()}, {versions}"
    )
