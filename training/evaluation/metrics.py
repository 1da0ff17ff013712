"""Figures of merit and their uncertainty; pure functions of labels and probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.stats import rankdata

from app.xray.contract import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Labels = NDArray[np.int64]
    Probabilities = NDArray[np.float64]
    Score = Callable[[Labels, Probabilities], float]

RESAMPLES: Final = 1000
CALIBRATION_BINS: Final = 15


def confusion(labels: Labels, probabilities: Probabilities) -> NDArray[np.int64]:
    """(classes, classes): pictures by true class, in rows, and by the likeliest."""
    counts = np.zeros((probabilities.shape[1],) * 2, np.int64)
    np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
    return counts


class CalibrationBins(NamedTuple):
    """Pictures by the probability of their likeliest class, in 15 equal bins from 0 to 1.

    `counts` int64 (15,) sum to all pictures; `confidence` and `accuracy`, float64 (15,), are the
    means of a bin, NaN where it is empty.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def accuracy(labels: Labels, probabilities: Probabilities) -> float:
    """Share of pictures whose likeliest class is the true one."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def precision(labels: Labels, probabilities: Probabilities, label: int) -> float:
    """Share of the pictures called `label` that are; 0 where none is called so."""
    called = probabilities.argmax(axis=1) == label
    return float(np.mean(labels[called] == label)) if called.any() else 0.0


def recall(labels: Labels, probabilities: Probabilities, label: int) -> float:
    """Share of the pictures of `label` that are called so; NaN where there is none."""
    truth = labels == label
    return float(np.mean(probabilities.argmax(axis=1)[truth] == label)) if truth.any() else np.nan


def share_reaching(_: Labels, probabilities: Probabilities, label: int, threshold: float) -> float:
    """Share of the pictures whose probability of `label` is `threshold` or more."""
    return float(np.mean(probabilities[:, label] >= threshold))


def f1(labels: Labels, probabilities: Probabilities, label: int) -> float:
    """The harmonic mean of precision and recall; 0 where nothing is right."""
    predicted = probabilities.argmax(axis=1)
    right = np.sum((predicted == label) & (labels == label))
    return float(2 * right / max(np.sum(predicted == label) + np.sum(labels == label), 1))


def macro_f1(labels: Labels, probabilities: Probabilities) -> float:
    """F1 averaged over the classes, each counting the same."""
    return float(np.mean([f1(labels, probabilities, label) for label in classes_of(probabilities)]))


def macro_auroc(labels: Labels, probabilities: Probabilities) -> float:
    """Area under the ROC curve of each class against the rest, averaged; NaN if one is absent."""
    return float(
        np.mean([auroc(labels, probabilities, label) for label in classes_of(probabilities)])
    )


def macro_auroc_of_those_present(labels: Labels, probabilities: Probabilities) -> float:
    """The same over the classes that are there; NaN where there is but one."""
    present = sorted(set(labels.tolist()))
    return float(np.mean([auroc(labels, probabilities, label) for label in present]))


def auroc(labels: Labels, probabilities: Probabilities, label: int) -> float:
    """Area under the ROC curve of one class against the rest; NaN if it or the rest is absent.

    It is the share of pairs, one of the class and one of the rest, that are in order, ties halved
    (Hanley and McNeil 1982, "The Meaning and Use of the Area under a ROC Curve"), from the ranks:
    scikit-learn's takes twenty times as long, and a report asks for tens of thousands.
    """
    truth = labels == label
    own = int(truth.sum())
    rest = len(truth) - own
    if not own or not rest:
        return float("nan")
    ranks = rankdata(probabilities[:, label])
    return float((ranks[truth].sum() - own * (own + 1) / 2) / (own * rest))


def expected_calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """Mean gap between confidence and accuracy over 15 equal bins of the top probability.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    confidence = probabilities.max(axis=1)
    gap = (probabilities.argmax(axis=1) == labels) - confidence
    return float(np.abs(np.bincount(_bin(confidence), weights=gap)).sum() / len(labels))


def calibration_bins(labels: Labels, probabilities: Probabilities) -> CalibrationBins:
    """What the expected calibration error is made of, bin by bin.

    Guo et al. 2017, section 2: their counts, times the gaps between the two means, sum to the
    error times the number of pictures.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = _bin(confidence)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    means = [
        np.divide(
            np.bincount(bins, weights=values, minlength=CALIBRATION_BINS),
            counts,
            out=np.full(CALIBRATION_BINS, np.nan),
            where=counts > 0,
        )
        for values in (confidence, right)
    ]
    return CalibrationBins(counts, *means)


def _bin(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


def wilson_interval(
    share: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of the 95 % intervals of `share` of `counts`, of their shape, within 0 to 1.

    Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference": it means
    something for few pictures too, and where the share is 0 or 1. `counts` are positive.
    """
    z = 1.96
    middle = (share + z**2 / (2 * counts)) / (1 + z**2 / counts)
    half = z * np.sqrt(share * (1 - share) / counts + (z / (2 * counts)) ** 2)
    half /= 1 + z**2 / counts
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def brier_score(labels: Labels, probabilities: Probabilities) -> float:
    """Mean squared distance of the probabilities from the truth, 0 to 2.

    Brier 1950, "Verification of Forecasts Expressed in Terms of Probability", over all classes.
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return float(np.mean(((probabilities - truth) ** 2).sum(axis=1)))


def negative_log_likelihoods(labels: Labels, probabilities: Probabilities) -> Probabilities:
    """-log of the probability of each picture's true class, float64 (n,), in nats."""
    likelihoods = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.maximum(likelihoods, np.finfo(np.float64).tiny))


def classes_of(probabilities: Probabilities) -> range:
    """The labels that there are."""
    return range(probabilities.shape[1])


def estimate(
    score: Score, labels: Labels, probabilities: Probabilities, *, seed: int = 0
) -> Estimate:
    """`score` with its 95 % interval: percentiles over 1,000 bootstrap resamples of the pictures.

    Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13. Resamples for which
    the score is undefined are left out; where it is defined for none, it is its own interval.
    """
    value = score(labels, probabilities)
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(labels), size=(RESAMPLES, len(labels)))
    scores = np.array([score(labels[draw], probabilities[draw]) for draw in draws])
    scores = scores[np.isfinite(scores)]
    low, high = np.percentile(scores, [2.5, 97.5]) if len(scores) else (value, value)
    return Estimate(value=value, low=float(low), high=float(high))


def estimate_difference(
    score: Score, labels: Labels, ours: Probabilities, theirs: Probabilities
) -> Estimate:
    """`score` of `ours` less that of `theirs`, on the same pictures, with its 95 % interval.

    Each resample takes the same pictures of both, so what is hard for both cancels out.
    """

    def difference(labels: Labels, both: Probabilities) -> float:
        return score(labels, both[..., 0]) - score(labels, both[..., 1])

    return estimate(difference, labels, np.stack([ours, theirs], axis=-1))


PER_CLASS: Final[dict[str, Callable[..., float]]] = {
    "precision": precision,
    "recall": recall,
    "F1": f1,
}
"""The figures of one class, each a function of labels, probabilities and its label."""

HEADLINE: Final[dict[str, Score]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "macro_auroc": macro_auroc,
    "ece": expected_calibration_error,
}
"""The four figures that come first."""
