"""What an examination found, in words and tables: said once, for card, report and terminal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from training.evaluation.metrics import PER_CLASS
from training.evaluation.results import PAIR_PICTURES
from training.report.document import (
    Caution,
    Picture,
    Pictures,
    Section,
    Table,
    interval,
    spell,
    with_interval,
)
from training.report.pictures.plots import draw_confusion, draw_roc
from training.report.words.calibration import describe_calibration, describe_sets
from training.report.words.limits import describe_gate, describe_shortcuts
from training.report.words.unseen import describe_unseen

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from training.evaluation.evaluate import Evaluation
    from training.evaluation.examine import Examination


_KNOWN: Final = {
    "train": " that it was trained on: no measure of what it can do",
    "val": " that the epoch, temperature and thresholds were chosen on",
    "test": " that neither training nor the choice of the epoch saw",
    "unseen": " of hospitals that neither training nor any choice saw",
}

MAX_SOURCES: Final = 12
"""Sources, those of most pictures, whose confusion matrices are drawn."""


def sections(examination: Examination, example: NDArray[np.uint8] | None = None) -> list[Section]:
    """All that is to be said of an examination: hospitals that it never saw come first.

    `example`, uint8 (height, width, 3), is shown as what blacking out makes of it.

    Where the split that was examined lacks a class, only what can be told without it.
    """
    evaluation = examination.evaluation
    gate = [describe_gate(examination.gate)] if examination.gate else []
    gate += _caveats(evaluation.contract.caveats)
    if not evaluation.is_complete:
        unseen = describe_unseen(evaluation, examination.known_sources)
        return [unseen, _changes(examination), *gate]
    return [
        *(
            [describe_unseen(examination.unseen, examination.known_sources)]
            if examination.unseen
            else []
        ),
        _figures(evaluation),
        _by_source(evaluation),
        describe_shortcuts(examination, example),
        _changes(examination),
        describe_calibration(evaluation),
        *gate,
    ]


def _caveats(caveats: Sequence[str]) -> list[Section]:
    """What of the data it was trained on is to be known before it is trusted."""
    said = tuple(Caution(f"{words[:1].upper()}{words[1:]}.") for words in caveats)
    return [Section("caveats", "Caveats", said)] if said else []


def _figures(evaluation: Evaluation) -> Section:
    return Section(
        "figures",
        "At hospitals that it knows",
        (
            f"On {len(evaluation.files):,} pictures{_KNOWN.get(evaluation.split, '')}. Intervals "
            "are 95 % bootstrap intervals (1,000 resamples of the pictures, percentiles); they are "
            "too narrow where a patient has several pictures, for it is pictures that are "
            "resampled, not patients.",
            Table(
                ("figure", "value", "95 % interval"),
                tuple(
                    (spell(name), f"{figure.value:.3f}", interval(figure))
                    for name, figure in evaluation.headline.items()
                ),
            ),
            Table(
                ("class", "pictures", *PER_CLASS),
                tuple(
                    (name, str(evaluation.count(name)), *map(with_interval, figures.values()))
                    for name, figures in evaluation.by_class.items()
                ),
            ),
            "What was answered, by the true class:",
            Table(
                ("true class", *evaluation.classes),
                tuple(
                    (name, *map(str, row))
                    for name, row in zip(
                        evaluation.classes, evaluation.confusion.tolist(), strict=True
                    )
                ),
            ),
            _confusion_and_roc(evaluation),
        ),
    )


def _confusion_and_roc(evaluation: Evaluation) -> Pictures:
    counts, classes = evaluation.confusion, evaluation.classes
    return Pictures(
        "figures",
        (
            Picture(
                partial(draw_confusion, counts, classes),
                "Confusion matrix: pictures by true class and by answer, as in the table above.",
            ),
            Picture(
                partial(draw_confusion, counts, classes, shares=True),
                "The same confusion matrix in shares of each true class.",
            ),
            Picture(
                partial(draw_roc, evaluation),
                "ROC curves of each class against the rest, with the area under each.",
            ),
        ),
    )


def _by_source(evaluation: Evaluation) -> Section:
    title = "Source by source"
    if not evaluation.sources:
        return Section("sources", title, ("The data came without a manifest of its sources.",))
    by_source = Table(
        ("source", "pictures", "accuracy", "macro AUROC", "true class: answers"),
        tuple(
            (
                name,
                str(found.pictures),
                with_interval(found.accuracy),
                with_interval(found.macro_auroc) if found.macro_auroc else "one class",
                "; ".join(
                    f"{truth}: {_answers(evaluation.classes, row)}"
                    for truth, row in zip(evaluation.classes, found.confusion.tolist(), strict=True)
                    if sum(row)
                ),
            )
            for name, found in evaluation.by_source.items()
        ),
    )
    by_both = Table(
        ("pictures of", "pictures", "recognised", "sets with the truth", "classes in a set"),
        tuple(
            (
                f"{source} / {name}",
                str(figures.pictures),
                with_interval(figures.recall),
                f"{figures.held.value:.3f}",
                f"{figures.set_size:.2f}",
            )
            for source, found in evaluation.by_source_and_class.items()
            for name, figures in found.items()
        ),
    )
    return Section(
        "sources",
        title,
        (
            "This says more about a new hospital than the figure over all: where a source holds "
            "one class only, its accuracy can be had by knowing the source.",
            by_source,
            by_both,
            "The mean over these pairs, each counting the same, is "
            f"{with_interval(evaluation.mean_over_pairs)}; one of fewer than {PAIR_PICTURES} "
            "pictures is left out.",
            describe_sets(evaluation),
            _confusion_by_source(evaluation),
        ),
    )


def _confusion_by_source(evaluation: Evaluation) -> Pictures:
    found = evaluation.by_source
    most = sorted(found, key=lambda source: -found[source].pictures)[:MAX_SOURCES]
    return Pictures(
        "small figures",
        tuple(
            Picture(
                partial(draw_confusion, found[source].confusion, evaluation.classes, small=True),
                f"Confusion matrix of the {found[source].pictures} pictures from {source}, whose "
                "numbers stand in the table above.",
                (f"{source}: {found[source].pictures:,} pictures",),
            )
            for source in most
        ),
    )


def _answers(classes: tuple[str, ...], row: list[int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in zip(classes, row, strict=True) if count)


def _changes(examination: Examination) -> Section:
    least = min(found.same.value for found in examination.agreement.values())
    return Section(
        "changes",
        "Small changes",
        (
            "The same pictures, moved, turned, brighter, darker, grainy or soft by little, which "
            f"alters nothing of what the patient has. The label stays for at least {least:.1%}.",
            Table(
                ("change", "same label", "mean change of its probability"),
                tuple(
                    (name, with_interval(found.same), f"{found.drift:.3f}")
                    for name, found in examination.agreement.items()
                ),
            ),
        ),
    )
