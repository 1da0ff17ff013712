"""One page about a run, for a person: what the network is worth, and what limits that."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.xray.errors import TrainingError
from training.data_uri import jpeg_uri, svg_uri
from training.examine import MASKS
from training.findings import describe_leaks, describe_oddities, spell_verdict
from training.plots import draw_confusion, draw_curves, draw_reliability, draw_roc, stages
from training.sections import sections
from training.text import Table, interval, printable, spell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Template
    from numpy.typing import NDArray

    from training.evaluate import Evaluation
    from training.examine import Examination
    from training.findings import Finding
    from training.leaks import Audit
    from training.mistakes import Mistake
    from training.plots import History
    from training.text import Section

_TEMPLATES: Final = Path(__file__).parent / "templates"
MAX_SOURCES: Final = 12
"""Sources, those of most pictures, whose confusion matrices are drawn."""


@dataclass(frozen=True)
class Picture:
    """An image within the page: its data URI, words in its stead, and words below it."""

    uri: str
    alt: str
    caption: str = ""
    is_photograph: bool = False


@dataclass(frozen=True)
class Chapter:
    """A part of the page: words and tables, then pictures, mistakes and findings where it has them.

    `figures` are shown as large as there is room, `small` as small multiples.
    """

    key: str
    title: str
    parts: Sequence[str | Table] = ()
    figures: Sequence[Picture] = ()
    small: Sequence[Picture] = ()
    mistakes: Sequence[tuple[Mistake, Sequence[Picture]]] = ()
    findings: Sequence[Finding] = field(default=())


def write_report(
    path: Path,
    *,
    title: str,
    examination: Examination,
    facts: Mapping[str, str] | None = None,
    audit: Audit | None = None,
    history: History | None = None,
    mistakes: Sequence[Mistake] | None = None,
    example: NDArray[np.uint8] | None = None,
) -> None:
    """Write one HTML file that needs no other: no script, no font, no address.

    Args:
        path: the file, `report.html`.
        title: what was judged.
        examination: what was found; its words are those of `training.sections`.
        facts: what stands under the title, such as the checkpoint's SHA-256, by name.
        audit: of the data; a chapter where it is given.
        history: loss and accuracy of each epoch, as Keras gives them; a chapter where it is given.
        mistakes: the surest, as `surest_mistakes` gives them; a chapter where they are given, be
            there none. They hold pictures of patients, and then so does the file.
        example: a picture as the network sees it, uint8 (height, width, 3), to show what is blacked
            out in; as much a patient's.

    Raises:
        TrainingError: the file cannot be written.
    """
    chapters = [
        _illustrate(section, examination.evaluation, example) for section in sections(examination)
    ]
    if mistakes is not None:
        chapters.append(_gallery(mistakes))
    if history is not None:
        chapters.append(_curves(history))
    if audit is not None:
        chapters.append(_findings(audit))
    evaluation = examination.evaluation
    page = _template().render(
        title=title,
        facts=facts or {},
        pictures=len(evaluation.files),
        headline=[
            (spell(name), f"{figure.value:.3f}", interval(figure))
            for name, figure in evaluation.headline.items()
        ],
        audit=audit,
        verdict=audit and spell_verdict(audit),
        chapters=chapters,
    )
    try:
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written: {error.strerror}") from error


def _illustrate(
    section: Section, evaluation: Evaluation, example: NDArray[np.uint8] | None
) -> Chapter:
    figures: list[Picture] = []
    small: list[Picture] = []
    if section.key == "figures":
        figures = _confusion_and_roc(evaluation)
    elif section.key == "sources":
        small = _confusion_by_source(evaluation)
    elif section.key == "calibration":
        figures = _reliability(evaluation)
    elif section.key == "shortcuts" and example is not None:
        small = _masked(example)
    return Chapter(*section, figures=figures, small=small)


def _confusion_and_roc(evaluation: Evaluation) -> list[Picture]:
    counts, classes = evaluation.confusion, evaluation.classes
    return [
        Picture(
            svg_uri(draw_confusion(counts, classes)),
            "Confusion matrix: pictures by true class and by answer, as in the table above.",
        ),
        Picture(
            svg_uri(draw_confusion(counts, classes, shares=True)),
            "The same confusion matrix in shares of each true class.",
        ),
        Picture(
            svg_uri(draw_roc(evaluation)),
            "ROC curves of each class against the rest, with the area under each.",
        ),
    ]


def _confusion_by_source(evaluation: Evaluation) -> list[Picture]:
    found = evaluation.by_source
    most = sorted(found, key=lambda source: -found[source].pictures)[:MAX_SOURCES]
    return [
        Picture(
            svg_uri(draw_confusion(found[source].confusion, evaluation.classes)),
            f"Confusion matrix of the {found[source].pictures} pictures from {source}, whose "
            "numbers stand in the table above.",
            f"{source}: {found[source].pictures:,} pictures",
        )
        for source in most
    ]


def _reliability(evaluation: Evaluation) -> list[Picture]:
    caption = (
        "Pictures in 15 equal bins by the probability of the answer; above, how many of them were "
        "right, with Wilson's 95 % interval; below, how many they are."
    )
    words = {"before": "as they come", "after": "calibrated"}
    return [
        Picture(
            svg_uri(draw_reliability(evaluation, stage)),
            f"Reliability diagram of the probabilities {words[stage]}: how often an answer is "
            "right, by how sure it is.",
            caption,
        )
        for stage in stages(evaluation)
    ]


def _masked(example: NDArray[np.uint8]) -> list[Picture]:
    shown = {"the whole picture": example}
    shown |= {name: mask(example[np.newaxis])[0] for name, mask in MASKS.items()}
    return [
        Picture(jpeg_uri(pixels), f"An example picture: {name}.", name, is_photograph=True)
        for name, pixels in shown.items()
    ]


def _gallery(mistakes: Sequence[Mistake]) -> Chapter:
    words = (
        "The wrong answers with the highest probability, the surest first. Each picture is shown "
        "as the network sees it, made square."
        if mistakes
        else "No answer was wrong."
    )
    if any(mistake.heat is not None for mistake in mistakes):
        words += (
            " Beside it, where the network saw what it answered (Grad-CAM, Selvaraju et al. 2017): "
            "the brighter, the more that place speaks for the answer, measured within each picture "
            "alone. It says where, not why, and is no proof."
        )
    return Chapter(
        "mistakes",
        "The surest mistakes",
        (words,),
        mistakes=[(mistake, _shown(mistake)) for mistake in mistakes],
    )


def _shown(mistake: Mistake) -> list[Picture]:
    name = printable(mistake.file)
    plain = Picture(jpeg_uri(mistake.picture), f"{name} as the network sees it.")
    if mistake.heat is None:
        return [plain]
    return [
        plain,
        Picture(jpeg_uri(mistake.heat), f"The same under the heat map of {mistake.answer}."),
    ]


def _curves(history: History) -> Chapter:
    epochs = len(history["loss"])
    return Chapter(
        "training",
        "Training",
        (
            f"Over {epochs} epoch{'' if epochs == 1 else 's'}. Kept is the first of those with the "
            "best validation accuracy.",
        ),
        [
            Picture(
                svg_uri(draw_curves(history, name)),
                f"{name.capitalize()} on train and val over the epochs.",
            )
            for name in ("loss", "accuracy")
        ],
    )


def _findings(audit: Audit) -> Chapter:
    return Chapter(
        "audit",
        "The data",
        findings=list(chain(describe_leaks(audit), describe_oddities(audit))),
    )


def numeric_columns(table: Table) -> frozenset[int]:
    """The columns, but for the first, of whose cells each begins with a digit or is empty."""
    return frozenset(
        column
        for column in range(1, len(table.head))
        if all(not row[column] or row[column][0].isdigit() for row in table.rows)
    )


@lru_cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {"printable": printable, "numeric_columns": numeric_columns}
    environment.filters.update(filters)
    return environment.get_template("report.html")
