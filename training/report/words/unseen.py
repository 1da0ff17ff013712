"""What an examination says of hospitals that the network never saw a picture of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.report.document import Section, Table, join_words, with_interval
from training.report.words.calibration import describe_sets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from training.evaluation.evaluate import Evaluation


def describe_unseen(evaluation: Evaluation, known_sources: Collection[str]) -> Section:
    """How many of each source and class are recognised, and what the others are taken for.

    `known_sources` are those of training: of one that is among them the section says so.
    """
    rows = tuple(
        (
            f"{source} / {name}" if evaluation.sources else name,
            str(figures.pictures),
            with_interval(figures.recall),
            _others(name, figures.answers),
            f"{figures.held.value:.3f}",
            f"{figures.set_size:.2f}",
        )
        for source, found in evaluation.by_source_and_class.items()
        for name, figures in found.items()
    )
    return Section(
        "unseen",
        "At hospitals it never saw",
        (
            f"On {len(evaluation.files):,} pictures{_of_sources(evaluation)} on which nothing was "
            "trained, chosen or calibrated. This is what to expect at another hospital, though no "
            "two hospitals are alike.",
            Table(
                (
                    "pictures of",
                    "pictures",
                    "recognised",
                    "answered instead",
                    "sets with the truth",
                    "classes in a set",
                ),
                rows,
            ),
            describe_sets(evaluation),
            " ".join(_limits(evaluation, known_sources)),
        ),
    )


def _of_sources(evaluation: Evaluation) -> str:
    sources = sorted(set(evaluation.sources))
    return f" of {join_words(sources)}" if sources else ""


def _others(truth: str, answers: dict[str, int]) -> str:
    wrong = (f"{count} {name}" for name, count in answers.items() if name != truth)
    return ", ".join(wrong) or "nothing"


def _limits(evaluation: Evaluation, known_sources: Collection[str]) -> Iterator[str]:
    if seen := sorted(set(evaluation.sources) & set(known_sources)):
        yield f"**Not unseen:** training has other pictures of {join_words(seen)}."
    missing = [name for name in evaluation.classes if not evaluation.count(name)]
    if missing:
        yield f"No picture here is of {' or '.join(missing)}."
    if any(
        len(found) < len(evaluation.classes) for found in evaluation.by_source_and_class.values()
    ):
        yield (
            "Where a source does not hold every class, how many of one it recognises is all that "
            "can be told: a network that always answers that class would recognise all."
        )
    if evaluation.contract.operating_points:
        yield (
            f"Of the {evaluation.wrong.sum():,} wrong answers "
            f"{(evaluation.uncertain & evaluation.wrong).sum():,} are called uncertain, and "
            f"{(evaluation.uncertain & ~evaluation.wrong).sum():,} of the "
            f"{(~evaluation.wrong).sum():,} right ones."
        )
