"""How well the source of a picture is told from what a network makes of it.

Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes"
(arXiv:1610.01644).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.evaluation.metrics import accuracy, estimate, recall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from app.xray.contract import Estimate
    from training.evaluation.metrics import Labels, Probabilities

FEWEST: Final = 2
"""Pictures of a source in train, below which the probe cannot learn what it looks like."""

PENALTY: Final = 0.1
"""scikit-learn's C: features may outnumber pictures, so the probe is held a little short.

With the 1,639 pictures and 1,024 features that it was chosen on, 0.001 to 1 gave accuracies on val
within 0.02 of one another; much below 0.1, a hundred pictures no longer move it.
"""


@dataclass(frozen=True)
class Probe:
    """How well the source of a test picture is told from its features.

    `sources` are those that the probe knows, `pictures` the test pictures that are of one of them.
    `commonest` is the share among these of the commonest source: the accuracy of always naming it.
    """

    sources: tuple[str, ...]
    pictures: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    commonest: float


@dataclass(frozen=True)
class ProbeResult:
    """The probe over all pictures, and over those of each class alone.

    Only within a class does telling the source mean that the source itself can be seen: over all,
    a network that knows the classes knows much of the sources too. `left_out` says of each class
    that has no probe why; `unknown` counts the test pictures of a source that is not asked about.
    """

    overall: Probe
    within_class: dict[str, Probe]
    left_out: dict[str, str]
    unknown: int


def probe_sources(
    train_features: NDArray[np.floating],
    train_sources: Sequence[str],
    test_features: NDArray[np.floating],
    test_sources: Sequence[str],
    train_labels: Labels,
    test_labels: Labels,
    classes: Sequence[str],
) -> ProbeResult | None:
    """Tell the source from the features by a linear probe, fitted on train and judged on test.

    It is a logistic regression on standardized features; it starts at zero and draws nothing, so
    it gives the same on every run. Sources of fewer than two train pictures are not asked about.

    Args:
        train_features: finite (n, features), as are `test_features` (m, features).
        train_sources: the name of each picture's source, as are `test_sources`; both may be empty.
        test_features: see `train_features`.
        test_sources: see `train_sources`.
        train_labels: int64 (n,), indices of `classes`, as are `test_labels` (m,).
        test_labels: see `train_labels`.
        classes: their names.

    Returns:
        None where there is nothing to tell apart: no sources are known, or train, or the test
        pictures of the sources in train, have fewer than two.

    Raises:
        ValueError: what should line up does not, or a feature is not finite.
    """
    if not len(train_sources) or not len(test_sources):
        return None
    if not len(train_features) == len(train_sources) == len(train_labels):
        raise ValueError("train: expected as many features as sources and labels")
    if not len(test_features) == len(test_sources) == len(test_labels):
        raise ValueError("test: expected as many features as sources and labels")
    train, test = np.array(train_sources), np.array(test_sources)
    overall = _probe(train_features, train, test_features, test)
    if not isinstance(overall, Probe):
        return None
    within_class, left_out = {}, {}
    for label, name in enumerate(classes):
        here, there = train_labels == label, test_labels == label
        found = _probe(train_features[here], train[here], test_features[there], test[there])
        if isinstance(found, Probe):
            within_class[name] = found
        else:
            left_out[name] = found
    return ProbeResult(overall, within_class, left_out, unknown=len(test) - overall.pictures)


def _probe(
    train_features: NDArray[np.floating],
    train: NDArray[np.str_],
    test_features: NDArray[np.floating],
    test: NDArray[np.str_],
) -> Probe | str:
    """The probe of some pictures, or why there is none."""
    sources = sorted(name for name, count in Counter(train.tolist()).items() if count >= FEWEST)
    if len(sources) < 2:
        return (
            "its train pictures are of one source" if sources else "no source is known from train"
        )
    judged = np.isin(test, sources)
    if len(set(test[judged].tolist())) < 2:
        return "its test pictures are of fewer than two of the sources in train"
    known = np.isin(train, sources)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=5000))
    model.fit(train_features[known].astype(np.float64), train[known])
    truth = np.searchsorted(sources, test[judged])
    guesses = model.predict_proba(test_features[judged].astype(np.float64))
    return Probe(
        sources=tuple(sources),
        pictures=len(truth),
        accuracy=estimate(accuracy, truth, guesses),
        balanced_accuracy=estimate(_balanced_accuracy, truth, guesses),
        commonest=float(np.bincount(truth).max() / len(truth)),
    )


def _balanced_accuracy(labels: Labels, probabilities: Probabilities) -> float:
    """The mean recall of the labels that occur."""
    return float(np.mean([recall(labels, probabilities, label) for label in np.unique(labels)]))
