"""Answers that no calibration mends: classes under wrong names, a network that guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from app.xray.errors import TrainingError
from training.evaluation.calibrate import BOUNDS, likeliest_temperature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.contract import ModelContract
    from training.evaluation.sample import Sample

_ERRORS: Final = 2.0
"""So many standard errors are more than chance makes of a few pictures."""
_NEAR: Final = 0.01
"""A temperature within this share of a bound has run into it."""


def refuse_misfit(contract: ModelContract, sample: Sample) -> None:
    """End before anything is written where a calibration would only hide what is wrong.

    That is: the answers, the classes counting the same, are right no more often than by chance (one
    in as many as there are classes, within two standard errors); or the outputs under other names
    fit better, by as much, which the message then has in their order; or the likeliest temperature
    lies at its bound though some answers are wrong, so that the outputs are no probabilities.

    Raises:
        TrainingError: as said.
    """
    classes, labels = contract.classes, sample.labels
    answers = sample.raw.argmax(axis=1)
    present = np.unique(labels)
    chance = 1 / len(classes)
    reached, error = _mean(answers == labels, labels)
    meant = best_order(labels, answers, len(classes))
    gain, doubt = _mean((answers == meant[labels]).astype(np.float64) - (answers == labels), labels)
    other, other_error = _mean(answers == meant[labels], labels)
    is_guessing = reached <= chance + _ERRORS * error
    if (
        len(present) == len(classes)
        and gain > _ERRORS * doubt
        and (other > chance + _ERRORS * other_error)
    ):
        names = [classes[label] for label in np.argsort(meant)]
        raise TrainingError(
            f"{_told(reached, labels)} by the names {', '.join(classes)}, and {other:.0%} with the "
            f"outputs named {','.join(names)}: give the model these names, in this order, and "
            "calibrate it then"
        )
    if is_guessing:
        raise TrainingError(
            f"{_told(reached, labels)}, and chance is {chance:.0%}: no order of the names fits "
            "better. See that the pictures are prepared as the model was trained, or give it more "
            "pictures to be told by"
        )
    temperature = likeliest_temperature(contract, labels, sample.raw, sample.weights)
    low, high = BOUNDS
    is_at_bound = temperature <= low * (1 + _NEAR) or temperature >= high * (1 - _NEAR)
    if is_at_bound and (answers != labels).any():
        raise TrainingError(
            f"the likeliest temperature, {temperature:.2f}, lies at its bound ({low:g} to {high:g})"
            f", with {reached:.0%} of the answers right: the model's outputs are no probabilities"
        )


def best_order(
    labels: NDArray[np.int64], answers: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Which output each class has, int64 (classes,), so that the most answers are right.

    Each class counts the same. It is the best of all permutations, found as an assignment (Kuhn
    1955, "The Hungarian Method") and so of a hundred classes too.
    """
    shares = np.zeros((classes, classes))
    for label in np.unique(labels):
        own = answers[labels == label]
        shares[label] = np.bincount(own, minlength=classes) / len(own)
    # Where two fit as well the names that it has are left.
    shares += np.eye(classes) * 1e-9
    order: NDArray[np.int64] = linear_sum_assignment(shares, maximize=True)[1].astype(np.int64)
    return order


def _mean(values: NDArray[np.generic], labels: NDArray[np.int64]) -> tuple[float, float]:
    """The mean over the classes that are there, and its standard error."""
    each = [values[labels == label].astype(np.float64) for label in np.unique(labels)]
    variance = sum(own.var() / len(own) for own in each) / len(each) ** 2
    return float(np.mean([own.mean() for own in each])), float(np.sqrt(variance))


def _told(reached: float, labels: NDArray[np.int64]) -> str:
    return (
        f"of {len(labels):,} pictures {reached:.0%} are answered rightly, classes weighing alike,"
    )
