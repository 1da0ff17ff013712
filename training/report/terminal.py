"""What the commands print: progress while files are read, tables when figures are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from rich.padding import Padding
from rich.progress import track as rich_track
from rich.table import Table
from rich.text import Text

from training.report import document as text
from training.report.words.examination import sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.console import Console

    from training.data.dataset import Dataset
    from training.evaluation.examine import Examination
    from training.recipes.files import RecipeFile

Item = TypeVar("Item")

_FIGURE: Final = len("0.000")


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


def print_trials(recipes: Mapping[str, RecipeFile], console: Console) -> None:
    """A table for all that were tried on val, and one for each set of sources held out."""
    for key in sorted({key for recipe in recipes.values() for key in recipe.trials}):
        tried = {
            name: recipe.trials[key] for name, recipe in recipes.items() if key in recipe.trials
        }
        sources = sorted({name for trial in tried.values() for name in trial.balanced_accuracy})
        rows = [
            (
                name,
                f"{trial.mean:.3f}",
                *(
                    f"{trial.balanced_accuracy[source]:.3f}"
                    if source in trial.balanced_accuracy
                    else ""
                    for source in sources
                ),
                f"{trial.accuracy:.3f}",
                f"{trial.macro_auroc:.3f}",
                f"{trial.minutes:.1f}",
            )
            for name, trial in sorted(tried.items(), key=lambda item: -item[1].mean)
        ]
        title = "judged on val" if key == "val" else f"trained without, and judged on, {key}"
        console.rule(Text(title), align="left")
        head = ("recipe", "mean of sources", *sources, "accuracy", "macro AUROC", "minutes")
        console.print(_table(text.Table(head, tuple(rows))))


def _weigh(sentence: str) -> Text:
    """`**words**` in bold."""
    pieces = sentence.split("**")
    return Text.assemble(
        *((piece, "bold" if place % 2 else "") for place, piece in enumerate(pieces))
    )


def _table(part: text.Table) -> Table:
    table = Table()
    for cell in part.head:  # no name is cut short, no figure split
        table.add_column(Text(cell), overflow="fold", min_width=_FIGURE)
    for row in part.rows:
        table.add_row(*(Text(cell.replace(" (", "\n(")) for cell in row))
    return table
