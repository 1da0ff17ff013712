"""What reports are made of: titles, words and tables, in no markup yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from app.xray.contract import Estimate


class Table(NamedTuple):
    """Cells as text, row by row under a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Section(NamedTuple):
    """A title and what stands under it, in order; `key` names it for who adds a picture to it.

    In its texts `**words**` are of weight, as in Markdown.
    """

    key: str
    title: str
    parts: tuple[str | Table, ...]


def spell(name: str) -> str:
    """A headline figure's name as a person writes it."""
    return {"macro_f1": "macro F1", "macro_auroc": "macro AUROC", "ece": "ECE"}.get(name, name)


def interval(figure: Estimate) -> str:
    """The 95 % interval of a figure, as text."""
    return f"{figure.low:.3f} to {figure.high:.3f}"


def with_interval(figure: Estimate) -> str:
    """A figure and its 95 % interval, as text."""
    return f"{figure.value:.3f} ({interval(figure)})"


def printable(words: str) -> str:
    """The same, or in ASCII: a file's name may hold what a terminal obeys or UTF-8 refuses."""
    return words if words.isprintable() else ascii(words)
