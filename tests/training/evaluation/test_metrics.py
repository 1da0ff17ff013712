from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.evaluation.metrics import (
    accuracy,
    auroc,
    calibration_bins,
    estimate,
    expected_calibration_error,
    macro_auroc,
    macro_f1,
    wilson_interval,
)

LABELS = np.array([0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])


def test_figures_of_four_pictures_worked_out_by_hand() -> None:
    assert accuracy(LABELS, PROBABILITIES) == 0.75
    # Class 0: precision 1, recall 1/2; class 1: precision 2/3, recall 1.
    assert macro_f1(LABELS, PROBABILITIES) == pytest.approx((2 / 3 + 4 / 5) / 2)
    # Each of the two of class 0 is ranked above both of class 1.
    assert auroc(LABELS, PROBABILITIES, 0) == 1.0
    assert macro_auroc(LABELS, PROBABILITIES) == 1.0


def test_auroc_counts_pairs_in_the_right_order() -> None:
    probabilities = np.array([[0.9, 0.1], [0.25, 0.75], [0.2, 0.8], [0.3, 0.7]])
    assert auroc(LABELS, probabilities, 0) == 0.75


def test_auroc_is_scikit_learns_where_many_are_tied_too() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    probabilities = rng.random((200, 3)).round(1)
    expected = roc_auc_score(labels == 1, probabilities[:, 1])
    assert auroc(labels, probabilities, 1) == pytest.approx(expected, abs=1e-12)


def test_auroc_of_a_class_that_is_absent_is_undefined() -> None:
    assert np.isnan(auroc(np.array([1, 1]), PROBABILITIES[:2], 0))
    assert np.isnan(macro_auroc(np.array([1, 1]), PROBABILITIES[:2]))


def test_calibration_error_worked_out_by_hand() -> None:
    # Four of confidence 0.9, three of them right: |0.75 - 0.9| in the one bin that is used.
    probabilities = np.tile([0.9, 0.1], (4, 1))
    labels = np.array([0, 0, 0, 1])
    assert expected_calibration_error(labels, probabilities) == pytest.approx(0.15)


def test_perfect_certainty_that_is_always_right_is_calibrated() -> None:
    assert expected_calibration_error(np.array([0, 1]), np.eye(2)) == 0


def test_gaps_in_different_bins_do_not_cancel_out() -> None:
    probabilities = np.array([[0.55, 0.45], [0.95, 0.05]])
    labels = np.array([0, 1])  # too shy by 0.45, too sure by 0.95
    assert expected_calibration_error(labels, probabilities) == pytest.approx((0.45 + 0.95) / 2)


def test_the_bins_hold_every_picture_and_make_up_the_calibration_error() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet([0.5, 0.5, 0.5], 200)
    probabilities[0] = [1, 0, 0]  # the last bin holds 1 too
    labels = rng.integers(0, 3, 200)
    bins = calibration_bins(labels, probabilities)
    assert bins.counts.sum() == 200
    assert not bins.counts[:4].any()  # the likeliest of three has a third at least
    filled = bins.counts > 0
    assert np.isnan(bins.accuracy[~filled]).all()
    gaps = (bins.counts * np.abs(bins.accuracy - bins.confidence))[filled]
    expected = expected_calibration_error(labels, probabilities)
    assert gaps.sum() / 200 == pytest.approx(expected)


def test_wilsons_interval_is_that_of_published_examples() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    counts = np.array([263, 148, 20, 29])
    low, high = wilson_interval(np.array([81, 15, 0, 1]) / counts, counts)
    np.testing.assert_allclose(low, [0.2553, 0.0624, 0.0, 0.0061], atol=1e-4)
    np.testing.assert_allclose(high, [0.3662, 0.1605, 0.1611, 0.1718], atol=1e-4)


def test_an_interval_holds_the_figure_and_repeats() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 400)
    right = rng.random(400) < 0.8
    probabilities = np.eye(2)[np.where(right, labels, 1 - labels)]
    found = estimate(accuracy, labels, probabilities)
    assert found.low < found.value < found.high
    # The normal approximation for 400 pictures: 1.96 sqrt(p (1 - p) / n) to each side.
    expected = 1.96 * np.sqrt(found.value * (1 - found.value) / 400)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.15)
    assert estimate(accuracy, labels, probabilities) == found


def test_an_interval_leaves_out_resamples_without_a_class() -> None:
    found = estimate(macro_auroc, LABELS, PROBABILITIES)
    assert (found.low, found.high) == (1.0, 1.0)


def test_a_figure_of_one_picture_is_its_own_interval() -> None:
    found = estimate(accuracy, LABELS[:1], PROBABILITIES[:1])
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
