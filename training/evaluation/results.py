"""Figures that belong together, each of some pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from training.evaluation.metrics import accuracy, estimate

if TYPE_CHECKING:
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


def class_figures(
    labels: Labels, probabilities: Probabilities, classes: tuple[str, ...]
) -> dict[str, ClassFigures]:
    """The figures of each class that has a picture, by its name."""
    found = {}
    for label in np.unique(labels).tolist():
        own = labels == label
        counts = np.bincount(probabilities[own].argmax(axis=1), minlength=len(classes)).tolist()
        found[classes[label]] = ClassFigures(
            int(own.sum()),
            estimate(accuracy, labels[own], probabilities[own]),
            {name: count for name, count in zip(classes, counts, strict=True) if count},
        )
    return found
