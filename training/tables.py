"""What the commands print: progress while files are read, tables when figures are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rich.progress import track as rich_track
from rich.table import Table
from rich.text import Text

from training.metrics import PER_CLASS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import Console

    from app.xray.contract import Estimate
    from training.dataset import Dataset
    from training.evaluate import Evaluation

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


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """The report per class, the headline figures, and accuracy per class and source."""
    console.print(evaluation.report(), highlight=False, markup=False, soft_wrap=True)
    figures = Table(
        "figure", "value", "95 % interval", title=f"On {len(evaluation.files)} pictures"
    )
    for name, figure in evaluation.headline.items():
        figures.add_row(spell(name), f"{figure.value:.3f}", interval(figure))
    console.print(figures)
    classes = Table("class", "n", *PER_CLASS, title="By class, with 95 % intervals")
    for name, found in evaluation.by_class.items():
        cells = (f"{figure.value:.3f}\n{interval(figure)}" for figure in found.values())
        classes.add_row(Text(name), str(evaluation.count(name)), *cells)
    console.print(classes)
    if not evaluation.sources:
        return
    groups = Table("pictures of", "n", "recognised", "95 % interval", title="By source")
    for groups_found in (evaluation.accuracy_by_source, evaluation.recall_by_source_and_class):
        for name, (count, figure) in groups_found.items():
            groups.add_row(Text(name), str(count), f"{figure.value:.3f}", interval(figure))
        groups.add_section()
    console.print(groups)


def spell(name: str) -> str:
    """A headline figure's name as a person writes it."""
    return {"macro_f1": "macro F1", "macro_auroc": "macro AUROC", "ece": "ECE"}.get(name, name)


def interval(figure: Estimate) -> str:
    """The 95 % interval as the tables and the card write it."""
    return f"{figure.low:.3f} to {figure.high:.3f}"
