"""One page about a run, for a person: what the network is worth, and what limits that."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.xray.errors import TrainingError
from training.report.document import Caution, Picture, Table, interval, printable, spell
from training.report.pictures.data_uri import jpeg_uri, svg_uri
from training.report.words.audit import describe_audit, spell_verdict
from training.report.words.examination import sections
from training.report.words.history import describe_history
from training.report.words.mistakes import describe_mistakes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Template
    from numpy.typing import NDArray

    from training.data.audit.audit import Audit
    from training.evaluation.examine import Examination
    from training.evaluation.mistakes import Mistake
    from training.report.document import Section
    from training.report.pictures.plots import History, Keep

_TEMPLATES: Final = Path(__file__).parent / "templates"
_NUMBER: Final = re.compile(r"[\d.,]+( to [\d.]+| x \d+|%)?( \([\d.]+ to [\d.]+\))?")
"""`1,234`, `5.0%`, `0.9 (0.8 to 1.0)`, `0.8 to 1.0`, `224 x 224`."""


def write_report(
    path: Path,
    *,
    title: str,
    examination: Examination,
    facts: Mapping[str, str] | None = None,
    audit: Audit | None = None,
    history: History | None = None,
    keep: Keep = "best",
    mistakes: Sequence[Mistake] | None = None,
    example: NDArray[np.uint8] | None = None,
) -> None:
    """Write one HTML file that needs no other: no script, no font, no address.

    Args:
        path: the file, `report.html`.
        title: what was judged.
        examination: what was found; its words are those of `training.report.words.examination`.
        facts: what stands under the title, such as the checkpoint's SHA-256, by name.
        audit: of the data; a section where it is given.
        history: loss and accuracy of each epoch, as Keras gives them; a section where it is given.
        keep: which of the epochs was kept.
        mistakes: the surest, as `surest_mistakes` gives them; a section where they are given, be
            there none. They hold pictures of patients, and then so does the file.
        example: a picture as the network sees it, uint8 (height, width, 3), to show what is blacked
            out in; as much a patient's.

    Raises:
        TrainingError: the file cannot be written.
    """
    said = sections(examination, example)
    if mistakes is not None:
        said.append(describe_mistakes(mistakes))
    if history is not None:
        said.append(describe_history(history, keep))
    if audit is not None:
        said.append(describe_audit(audit))
    evaluation = examination.evaluation
    headline = [
        (spell(name), f"{figure.value:.3f}", interval(figure))
        for name, figure in evaluation.headline.items()
    ]
    write_page(
        path, title, said, len(evaluation.files), facts=facts, headline=headline, audit=audit
    )


def write_page(
    path: Path,
    title: str,
    said: Sequence[Section],
    pictures: int,
    *,
    facts: Mapping[str, str] | None = None,
    headline: Sequence[tuple[str, str, str]] = (),
    audit: Audit | None = None,
) -> None:
    """Write sections on so many `pictures` as one HTML file that needs no other.

    `facts` stand under the title, `headline` on top as tiles: (name, figure, interval); with
    `audit` its verdict too.

    Raises:
        TrainingError: the file cannot be written.
    """
    page = _template().render(
        title=title,
        facts=facts or {},
        pictures=pictures,
        headline=headline,
        audit=audit,
        verdict=audit and spell_verdict(audit),
        sections=said,
    )
    try:
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written: {error.strerror}") from error


def numeric_columns(table: Table) -> frozenset[int]:
    """The columns, but for the first, of numbers; in words like "one class" there is no digit."""
    found = set()
    for column in range(1, len(table.head)):
        cells = [row[column] for row in table.rows]
        numbers = [cell for cell in cells if _NUMBER.fullmatch(cell)]
        if numbers and not any(re.search(r"\d", cell) for cell in set(cells) - set(numbers)):
            found.add(column)
    return frozenset(found)


def draw_uri(picture: Picture) -> str:
    """The picture, drawn now, as a data URI."""
    drawn = picture.draw()
    return jpeg_uri(drawn) if isinstance(drawn, np.ndarray) else svg_uri(drawn)


@lru_cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "printable": printable,
        "numeric_columns": numeric_columns,
        "draw_uri": draw_uri,
    }
    environment.filters.update(filters)
    environment.tests["table"] = lambda block: isinstance(block, Table)
    environment.tests["caution"] = lambda block: isinstance(block, Caution)
    return environment.get_template("report.html")
