"""Two checkpoints side by side on the same pictures, and whether chance explains what differs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from app.xray.errors import TrainingError
from training.evaluation.examine import BORDER, LUNGS
from training.evaluation.metrics import (
    HEADLINE,
    accuracy,
    estimate,
    estimate_difference,
    macro_auroc,
    macro_auroc_of_those_present,
    recall,
)
from training.report.document import Section, Table, spell, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.xray.contract import Estimate
    from training.evaluation.evaluate import Evaluation
    from training.evaluation.examine import Examination
    from training.evaluation.metrics import Score

_LESS_IS_BETTER: Final = {spell("ece")}


class Row(NamedTuple):
    """One figure of both, each with its 95 % interval, and of what they differ by, in pairs."""

    name: str
    ours: Estimate
    theirs: Estimate
    difference: Estimate
    less_is_better: bool

    @property
    def verdict(self) -> str:
        """That it is "alike" where the interval of the difference has 0 in it, or which it is."""
        if self.difference.low <= 0 <= self.difference.high:
            return "alike"
        return "better" if (self.difference.value < 0) == self.less_is_better else "worse"


def compare(ours: Examination, theirs: Examination, name: str) -> Section:
    """`ours` beside `theirs`, the checkpoint called `name`, on the same split.

    Raises:
        TrainingError: the two were not judged on the same pictures.
    """
    if ours.evaluation.files != theirs.evaluation.files:
        raise TrainingError(f"{name}: was not judged on the same pictures")
    rows = list(_rows(ours, theirs))
    table = Table(
        ("figure", "this checkpoint", name, "difference, in pairs", "this one is"),
        tuple(
            (
                row.name,
                with_interval(row.ours),
                with_interval(row.theirs),
                _spell_difference(row),
                row.verdict,
            )
            for row in rows
        ),
    )
    return Section(
        "beside",
        f"Beside {name}",
        (
            f"{name} was trained on the same pictures, and judged on the same. Differences are "
            "taken picture by picture before they are resampled, so their intervals are narrower "
            "than those of the two figures; where one has 0 in it, chance explains the difference. "
            "Without lungs less is better: what is told there is told by something else.",
            table,
            _spell_verdicts(rows),
            *_probes(ours, theirs, name),
        ),
    )


def compare_runs(runs: dict[str, Evaluation]) -> list[Section]:
    """The figures of several runs on the same pictures, and how each differs from the first.

    Raises:
        TrainingError: they were not judged on the same pictures, or do not know the same classes.
    """
    (first, ours), *others = runs.items()
    for name, theirs in others:
        if theirs.files != ours.files or theirs.classes != ours.classes:
            raise TrainingError(f"{name}: was not judged on the same pictures as {first}")
        if not np.array_equal(theirs.labels, ours.labels):
            raise TrainingError(f"{name}: was judged on other classes of the pictures of {first}")
    pairs = {name: list(_evaluation_rows(theirs, ours)) for name, theirs in others}
    measured = zip(*pairs.values(), strict=True)
    return [
        Section(
            "figures",
            "Figures",
            (
                f"On the same {len(ours.files):,} pictures, with 95 % bootstrap intervals. Of ECE "
                "less is better.",
                Table(
                    ("figure", *runs),
                    tuple(
                        (
                            rows[0].name,
                            with_interval(rows[0].theirs),
                            *(with_interval(row.ours) for row in rows),
                        )
                        for rows in measured
                    ),
                ),
            ),
        ),
        *(
            _section_of_pairs(f"pairs-{place}", name, first, rows)
            for place, (name, rows) in enumerate(pairs.items(), start=1)
        ),
    ]


def _section_of_pairs(key: str, name: str, first: str, rows: list[Row]) -> Section:
    return Section(
        key,
        f"{name} beside {first}",
        (
            "Differences are taken picture by picture before they are resampled. Where an interval "
            "has 0 in it, chance explains the difference.",
            Table(
                ("figure", "difference, in pairs", f"{name} is"),
                tuple((row.name, _spell_difference(row), row.verdict) for row in rows),
            ),
            _spell_verdicts(rows, name),
        ),
    )


def _spell_difference(row: Row) -> str:
    found = row.difference
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _rows(ours: Examination, theirs: Examination) -> Iterator[Row]:
    one, other = ours.evaluation, theirs.evaluation
    yield from _evaluation_rows(one, other)
    yield from _unseen_rows(ours, theirs)
    everything = np.ones(len(one.labels), np.bool_)
    for mask in (LUNGS, BORDER):
        masked = ours.masked[mask], theirs.masked[mask]
        yield _row(f"accuracy, {mask}", accuracy, masked, everything, less_is_better=True)
        yield _row(f"macro AUROC, {mask}", macro_auroc, masked, everything, less_is_better=True)


def _evaluation_rows(one: Evaluation, other: Evaluation) -> Iterator[Row]:
    everything = np.ones(len(one.labels), np.bool_)
    for name, score in HEADLINE.items():
        if not one.is_complete and name.startswith("macro"):
            continue
        yield _row(spell(name), score, (one, other), everything, spell(name) in _LESS_IS_BETTER)
    for label, name in enumerate(one.classes):
        if not one.count(name):
            continue
        yield _row(f"recall of {name}", partial(recall, label=label), (one, other), everything)
    sources = np.array(one.sources)
    for source in sorted(set(one.sources)):
        chosen = sources == source
        yield _row(f"accuracy on {source}", accuracy, (one, other), chosen)
        held = sorted(set(one.labels[chosen].tolist()))
        if len(held) < 2:
            continue
        yield _row(f"macro AUROC on {source}", macro_auroc_of_those_present, (one, other), chosen)
        for label in held:
            here = chosen & (one.labels == label)
            yield _row(f"recall of {source} / {one.classes[label]}", accuracy, (one, other), here)


def _unseen_rows(ours: Examination, theirs: Examination) -> Iterator[Row]:
    one, other = ours.unseen, theirs.unseen
    if one is None or other is None or one.files != other.files:
        return
    sources = np.array(one.sources or ("unseen",) * len(one.labels))
    known = {*ours.known_sources, *theirs.known_sources}
    for source in sorted(set(sources.tolist()) - known):
        for label in np.unique(one.labels[sources == source]).tolist():
            here = (sources == source) & (one.labels == label)
            name = f"recall of {source} / {one.classes[label]}, never seen"
            yield _row(name, accuracy, (one, other), here)


def _row(
    name: str,
    score: Score,
    pair: tuple[Evaluation, Evaluation],
    chosen: np.ndarray[tuple[int], np.dtype[np.bool_]],
    less_is_better: bool = False,
) -> Row:
    labels = pair[0].labels[chosen]
    ours, theirs = (found.probabilities[chosen] for found in pair)
    return Row(
        name,
        estimate(score, labels, ours),
        estimate(score, labels, theirs),
        estimate_difference(score, labels, ours, theirs),
        less_is_better,
    )


def _spell_verdicts(rows: list[Row], name: str = "this one") -> str:
    named = {
        verdict: ", ".join(row.name for row in rows if row.verdict == verdict)
        for verdict in ("better", "worse")
    }
    sentences = (
        f"**Beyond chance {name} is {verdict} in:** {names or 'nothing'}."
        for verdict, names in named.items()
    )
    return " ".join(sentences)


def _probes(ours: Examination, theirs: Examination, name: str) -> Iterator[str | Table]:
    if not ours.probe or not theirs.probe:
        return
    both = {"all": (ours.probe.overall, theirs.probe.overall)} | {
        label: (found, theirs.probe.within_class[label])
        for label, found in ours.probe.within_class.items()
        if label in theirs.probe.within_class
    }
    yield "How often a linear probe tells the source from the features; less is better."
    yield Table(
        ("pictures", "this checkpoint", name, "commonest source"),
        tuple(
            (
                label,
                *(with_interval(found.accuracy) for found in pair),
                f"{pair[0].commonest:.3f}",
            )
            for label, pair in both.items()
        ),
    )
