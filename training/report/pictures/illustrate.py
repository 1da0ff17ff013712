"""The parts of a report: what is said of a run, and the pictures that go with it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np

from training.evaluation.examine import MASKS
from training.evaluation.metrics import CALIBRATION_BINS
from training.report.document import printable
from training.report.pictures.data_uri import jpeg_uri, svg_uri
from training.report.pictures.plots import (
    draw_confusion,
    draw_curves,
    draw_reliability,
    draw_roc,
    stages,
)
from training.report.words.audit import describe_leaks, describe_oddities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.data.audit.audit import Audit
    from training.evaluation.evaluate import Evaluation
    from training.evaluation.mistakes import Mistake
    from training.report.document import Section, Table
    from training.report.pictures.plots import History
    from training.report.words.audit import Finding

MAX_SOURCES: Final = 12
"""Sources, those of most pictures, whose confusion matrices are drawn."""
_BINS: Final = (
    f"The pictures in {CALIBRATION_BINS} equal bins by the probability of their answer: above, how "
    "many were right, with Wilson's 95 % interval (1927); below, how many they are."
)


@dataclass(frozen=True)
class Picture:
    """An image within the page: its data URI, words in its stead, and words below it."""

    uri: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Chapter:
    """A part of the page: words and tables, then pictures, mistakes and findings where it has them.

    `figures` are shown as large as there is room, `small` as small multiples, and `photographs`
    beside each other.
    """

    key: str
    title: str
    parts: Sequence[str | Table] = ()
    figures: Sequence[Picture] = ()
    small: Sequence[Picture] = ()
    photographs: Sequence[Picture] = ()
    mistakes: Sequence[tuple[Mistake, Sequence[Picture]]] = ()
    findings: Sequence[Finding] = ()


def illustrate(
    section: Section, evaluation: Evaluation, example: NDArray[np.uint8] | None
) -> Chapter:
    """A section with the pictures that go with it.

    `example`, uint8 (height, width, 3), is shown as what is blacked out makes of it.
    """
    key, title, parts = section
    figures: list[Picture] = []
    small: list[Picture] = []
    photographs: list[Picture] = []
    if key == "figures":
        figures = _confusion_and_roc(evaluation)
    elif key == "sources":
        small = _confusion_by_source(evaluation)
    elif key == "calibration":
        figures = _reliability(evaluation)
        parts = (*parts, _BINS)
    elif key == "shortcuts" and example is not None:
        photographs = _masked(example)
    return Chapter(key, title, parts, figures, small, photographs)


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
            svg_uri(draw_confusion(found[source].confusion, evaluation.classes, small=True)),
            f"Confusion matrix of the {found[source].pictures} pictures from {source}, whose "
            "numbers stand in the table above.",
            f"{source}: {found[source].pictures:,} pictures",
        )
        for source in most
    ]


def _reliability(evaluation: Evaluation) -> list[Picture]:
    words = {"before": "as they come", "after": "calibrated"}
    return [
        Picture(
            svg_uri(draw_reliability(evaluation, stage)),
            f"Reliability diagram of the probabilities {words[stage]}: how often an answer is "
            "right, by how sure it is.",
        )
        for stage in stages(evaluation)
    ]


def _masked(example: NDArray[np.uint8]) -> list[Picture]:
    shown = {"the whole picture": example}
    shown |= {name: mask(example[np.newaxis])[0] for name, mask in MASKS.items()}
    return [
        Picture(jpeg_uri(pixels), f"An example picture: {name}.", name)
        for name, pixels in shown.items()
    ]


def gallery(mistakes: Sequence[Mistake]) -> Chapter:
    """The surest mistakes, each with its pictures."""
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


def curves(history: History) -> Chapter:
    """What happened over the epochs."""
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


def findings(audit: Audit) -> Chapter:
    """The audit of the data, leaks first."""
    return Chapter(
        "audit",
        "The data",
        findings=list(chain(describe_leaks(audit), describe_oddities(audit))),
    )
