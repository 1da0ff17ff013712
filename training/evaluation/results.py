"""Figures that belong together, each of some pictures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from training.evaluation.metrics import (
    accuracy,
    confusion,
    estimate,
    macro_auroc_of_those_present,
    share_reaching,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from app.xray.contract import Estimate
    from training.evaluation.metrics import Labels, Probabilities


class Calibration(NamedTuple):
    """How far probabilities lie from what happens."""

    ece: Estimate
    brier: Estimate


class OperatingPoint(NamedTuple):
    """What a class's threshold does: the shares of its pictures and of all others that reach it."""

    threshold: float
    sensitivity: Estimate
    false_positive_rate: Estimate


class SourceFigures(NamedTuple):
    """The figures on the pictures of one source."""

    pictures: int
    accuracy: Estimate
    macro_auroc: Estimate | None
    """Over the classes that the source holds; None where it holds one."""
    confusion: NDArray[np.int64]
    """(classes, classes): pictures by true class, in rows, and by the likeliest."""


class ClassFigures(NamedTuple):
    """What the pictures of one class were taken for."""

    pictures: int
    recall: Estimate
    answers: dict[str, int]
    """How often each class was answered; without those that never were."""
    held: Estimate
    """The share of prediction sets that hold the class."""
    set_size: float
    """The mean number of classes in a set."""


class SetFigures(NamedTuple):
    """What the prediction sets of some pictures are."""

    size: float
    """The mean number of classes in a set."""
    of_one: int
    """The sets of one class."""
    of_one_wrong: int
    """Those of them that hold another class than the true one."""


def source_figures(
    labels: Labels, probabilities: Probabilities, sources: Sequence[str]
) -> dict[str, SourceFigures]:
    """Accuracy, macro AUROC and confusion on the pictures of each source, by its name."""
    found = {}
    for source in sorted(set(sources)):
        chosen = np.array(sources) == source
        own, theirs = labels[chosen], probabilities[chosen]
        found[source] = SourceFigures(
            int(chosen.sum()),
            estimate(accuracy, own, theirs),
            estimate(macro_auroc_of_those_present, own, theirs)
            if len(set(own.tolist())) > 1
            else None,
            confusion(own, theirs),
        )
    return found


PAIR_PICTURES: Final = 5
"""A pair of source and class of fewer pictures has no part in a mean over pairs, where another of
that class has."""


def recalls_of_pairs(
    labels: Labels, probabilities: Probabilities, sources: Sequence[str], classes: Sequence[str]
) -> dict[str, float]:
    """The recall of each pair of source and class, 0 to 1, by "SOURCE/CLASS".

    Pairs of fewer than `PAIR_PICTURES` are left out, but not where all of a class are as small.
    Where `sources` is empty, all pictures are of the source "all".
    """
    names, pairs = _pairs(labels, sources)
    right = probabilities.argmax(axis=1) == labels
    return {
        f"{names[pair % len(names)]}/{classes[pair // len(names)]}": float(
            right[pairs == pair].mean()
        )
        for pair in _large_enough(pairs, len(names)).tolist()
    }


def mean_over_pairs(
    labels: Labels, probabilities: Probabilities, sources: Sequence[str]
) -> Estimate:
    """The mean of the recalls that `recalls_of_pairs` gives, with its 95 % interval.

    Each pair counts the same, so neither a large class nor a large source hides a small one.
    """
    names, pairs = _pairs(labels, sources)
    chosen = np.isin(pairs, _large_enough(pairs, len(names)))

    def score(pairs: Labels, probabilities: Probabilities) -> float:
        right = probabilities.argmax(axis=1) == pairs // len(names)
        found = np.bincount(pairs)
        recalls = np.bincount(pairs, weights=right)[found > 0] / found[found > 0]
        return float(recalls.mean())

    return estimate(score, pairs[chosen], probabilities[chosen])


def _pairs(labels: Labels, sources: Sequence[str]) -> tuple[list[str], Labels]:
    """The names of the sources, and of each picture its label times their number, plus its own."""
    names, numbers = np.unique(np.array(sources or ["all"] * len(labels)), return_inverse=True)
    return names.tolist(), labels * len(names) + numbers


def _large_enough(pairs: Labels, sources: int) -> Labels:
    found, counts = np.unique(pairs, return_counts=True)
    large = found[counts >= PAIR_PICTURES]
    kept: Labels = found[np.isin(found, large) | ~np.isin(found // sources, large // sources)]
    return kept


def set_figures(labels: Labels, sets: NDArray[np.bool_]) -> SetFigures:
    """What `sets` are, bool (n, classes), of n pictures, at least one, that have these `labels`."""
    sizes = sets.sum(axis=1)
    holds = sets[np.arange(len(labels)), labels]
    of_one = sizes == 1
    return SetFigures(float(sizes.mean()), int(of_one.sum()), int((of_one & ~holds).sum()))


def class_figures(
    labels: Labels,
    probabilities: Probabilities,
    sets: NDArray[np.bool_],
    classes: tuple[str, ...],
) -> dict[str, ClassFigures]:
    """The figures of each class that has a picture, by its name; `sets` are bool (n, classes)."""
    found = {}
    for label in np.unique(labels).tolist():
        own = labels == label
        counts = np.bincount(probabilities[own].argmax(axis=1), minlength=len(classes)).tolist()
        found[classes[label]] = ClassFigures(
            int(own.sum()),
            estimate(accuracy, labels[own], probabilities[own]),
            {name: count for name, count in zip(classes, counts, strict=True) if count},
            estimate(
                partial(share_reaching, label=label, threshold=1.0),
                labels[own],
                sets[own].astype(np.float64),
            ),
            float(sets[own].sum(axis=1).mean()),
        )
    return found
