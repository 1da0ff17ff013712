"""What every report is made of: sections of words, tables and pictures, in no markup yet.

The terminal, the card and the page each render them; the first two leave the pictures out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from app.xray.contract import Estimate


@dataclass(frozen=True)
class Table:
    """Cells as text, row by row under a head; a head of one cell is not shown.

    Lines of a cell are parted by newlines. `foot` is a last row that sums up the others; `flagged`
    are the cells to look at, (row, column), with the foot as the row after the last. `left_out`
    counts the rows that only the JSON file has.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    foot: tuple[str, ...] = ()
    flagged: frozenset[tuple[int, int]] = frozenset()
    left_out: int = 0


@dataclass(frozen=True)
class Caution:
    """Words to be warned by."""

    words: str


@dataclass(frozen=True)
class Picture:
    """What is drawn when a page asks for it: a figure, or pixels, uint8 (height, width, 3).

    `alt` stands in its stead for who cannot see it; `caption`, line by line, below it; `beside` is
    a second one that shares the caption.
    """

    draw: Callable[[], Figure | NDArray[np.uint8]]
    alt: str
    caption: tuple[str, ...] = ()
    beside: Picture | None = None


@dataclass(frozen=True)
class Pictures:
    """Pictures that belong together, and words that are said only where they are shown.

    "figures" are shown as large as there is room, "small figures" as small multiples,
    "photographs" beside each other, and "mistakes" as cards: two lines of caption, then a file.
    """

    kind: Literal["figures", "small figures", "photographs", "mistakes"]
    pictures: tuple[Picture, ...]
    words: str = ""


Block = str | Table | Caution | Pictures
"""In texts and cautions `**words**` are of weight, as in Markdown."""


@dataclass(frozen=True)
class Section:
    """A title and what stands under it, in order; `key` is its address within the page."""

    key: str
    title: str
    blocks: tuple[Block, ...]


def spell(name: str) -> str:
    """A headline figure's name as a person writes it."""
    return {"macro_f1": "macro F1", "macro_auroc": "macro AUROC", "ece": "ECE"}.get(name, name)


def interval(figure: Estimate) -> str:
    """The 95 % interval of a figure, as text."""
    return f"{figure.low:.3f} to {figure.high:.3f}"


def with_interval(figure: Estimate) -> str:
    """A figure and its 95 % interval, as text."""
    return f"{figure.value:.3f} ({interval(figure)})"


def join_words(words: Sequence[str]) -> str:
    """`one, two and three`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def printable(words: str) -> str:
    """The same, or in ASCII: a file's name may hold what a terminal obeys or UTF-8 refuses."""
    return words if words.isprintable() else ascii(words)
