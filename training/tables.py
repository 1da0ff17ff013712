"""What the commands print: progress while files are read, tables when figures are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rich.padding import Padding
from rich.progress import track as rich_track
from rich.table import Table
from rich.text import Text

from training.sections import sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import Console

    from training import text
    from training.dataset import Dataset
    from training.examine import Examination

Item = TypeVar("Item")


def track(console: Console, description: str) -> Callable[[Iterable[Item], int], Iterable[Item]]:
    """A progress bar over what is read or run, item by item."""
    return lambda items, total: rich_track(
        items,
        description,
        total=total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def report_skipped(dataset: Dataset, console: Console) -> None:
    """Name every picture that was left out, and why."""
    for file, reason in dataset.skipped:
        console.print(
            f"skipped {file}: {reason}",
            style="yellow",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def report_caveats(sentences: Iterable[str], console: Console) -> None:
    """Say what the data are too few for."""
    for sentence in sentences:
        console.print(sentence, style="yellow", highlight=False, markup=False, soft_wrap=True)


def print_examination(examination: Examination, console: Console) -> None:
    """All that was found, section by section."""
    for section in sections(examination):
        console.rule(Text(section.title), align="left")
        for part in section.parts:
            if isinstance(part, str):
                console.print(Padding(_weigh(part), (0, 0, 1, 0)), highlight=False)
            else:
                console.print(_table(part))


def _weigh(text: str) -> Text:
    """`**words**` in bold."""
    pieces = text.split("**")
    return Text.assemble(
        *((piece, "bold" if place % 2 else "") for place, piece in enumerate(pieces))
    )


def _table(part: text.Table) -> Table:
    table = Table()
    for cell in part.head:
        table.add_column(Text(cell))
    for row in part.rows:
        table.add_row(*(Text(cell.replace(" (", "\n(")) for cell in row))
    return table
