"""The audit as a person reads it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from training.report.words.audit import describe_leaks, describe_oddities, spell_verdict

if TYPE_CHECKING:
    from rich.console import Console

    from training.data.audit.audit import Audit
    from training.report.words.audit import Finding


def print_audit(audit: Audit, console: Console) -> None:
    """What was found, the leaks last: they are what a person must see."""
    for finding in (*describe_oddities(audit), *describe_leaks(audit)):
        _print(finding, console)
    style = "bold red" if audit.has_leaks else "green"
    console.print(spell_verdict(audit), style=style, highlight=False)


def _print(finding: Finding, console: Console) -> None:
    if finding.table:
        head, rows = finding.table
        table = Table(*head, show_header=len(head) > 1)
        for index, row in enumerate([*rows, finding.foot] if finding.foot else rows):
            if index == len(rows):
                table.add_section()
            marked = (column for place, column in finding.flagged if place == index)
            table.add_row(*_cells(row, frozenset(marked)))
        console.print(finding.title, style="bold", highlight=False, soft_wrap=True)
        console.print(table)
    if finding.left_out:
        console.print(f"... and {finding.left_out:,} more in the JSON file", highlight=False)
    if finding.warning:
        console.print(
            finding.warning, style="yellow", highlight=False, markup=False, soft_wrap=True
        )


def _cells(row: tuple[str, ...], flagged: frozenset[int]) -> list[Text]:
    """They show brackets as brackets and are folded rather than cut."""
    return [
        Text(cell, style="yellow" if column in flagged else "", overflow="fold")
        for column, cell in enumerate(row)
    ]
