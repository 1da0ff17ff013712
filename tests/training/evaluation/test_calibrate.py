from __future__ import annotations

import numpy as np
import pytest

from app.xray.contract import ModelContract
from training.evaluation.calibrate import (
    MAX_OFFSET,
    SENSITIVITY,
    calibrate_answers,
    fit_answers,
    fit_offsets,
    fit_operating_points,
    fit_temperature,
)
from training.evaluation.caveats import few_pictures
from training.evaluation.metrics import expected_calibration_error
from training.evaluation.sample import Sample

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")
CONTRACT = ModelContract.recipe_of_2022(CLASSES)


def overconfident(count: int, factor: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(logits), and softmax(factor x logits): T = factor mends them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 3)) * 2
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    powers = np.exp(factor * logits)
    return labels, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def leaning(count: int, lean: tuple[float, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(logits), and softmax(logits + lean): offsets of -lean mend them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 3)) * 2
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    powers = np.exp(logits + np.array(lean))
    return labels, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def spread(offsets: dict[str, float]) -> float:
    return max(offsets.values()) - min(offsets.values())


def test_with_many_pictures_the_offsets_are_those_that_mend_them() -> None:
    found = np.array([*fit_offsets(CONTRACT, *leaning(5_000, (1.0, -0.4, -0.6))).values()])
    assert (found - found.mean()).tolist() == pytest.approx([-1.0, 0.4, 0.6], abs=0.1)


def test_with_few_pictures_the_offsets_are_smaller_than_the_likeliest() -> None:
    samples = (leaning(100, (1.0, -0.5, -0.5), seed) for seed in range(20))
    assert 0.3 < np.mean([spread(fit_offsets(CONTRACT, *sample)) for sample in samples]) < 1.2


def test_where_nothing_leans_no_offset_is_added() -> None:
    found = [spread(fit_offsets(CONTRACT, *leaning(300, (0, 0, 0), seed))) for seed in range(10)]
    assert np.median(found) == pytest.approx(0, abs=0.05)


def test_a_network_that_is_always_right_gets_no_offset() -> None:
    labels = np.arange(30) % 3
    raw = np.full((30, 3), 0.01, np.float32)
    raw[np.arange(30), labels] = 0.98
    assert spread(fit_offsets(CONTRACT, labels, raw)) == pytest.approx(0, abs=1e-3)


def test_a_class_without_a_picture_keeps_what_it_has() -> None:
    labels, raw = leaning(2_000, (1.0, 0, 0))
    known = labels != 2
    assert fit_offsets(CONTRACT, labels[known], raw[known])["PNEUMONIA"] == 0


@pytest.mark.parametrize("certain", [0.0, 1.0], ids=["never", "always"])
def test_a_probability_of_0_leaves_the_offsets_within_bounds(certain: float) -> None:
    labels, raw = leaning(300, (0, 0, 0))
    raw[0] = [1 - certain, certain, 0]
    found = [*fit_offsets(CONTRACT, labels, raw).values()]
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= MAX_OFFSET


def test_pictures_that_weigh_nothing_move_no_offset() -> None:
    labels, raw = leaning(2_000, (1.0, -0.4, -0.6))
    others, their_raw = leaning(6_000, (-1.0, 0.4, 0.6), seed=1)
    weights = np.repeat([1 / 2_000, 0.0], [2_000, 6_000])
    both = fit_offsets(
        CONTRACT, np.append(labels, others), np.concatenate([raw, their_raw]), weights
    )
    assert both == pytest.approx(fit_offsets(CONTRACT, labels, raw), abs=0.02)


def test_the_largest_source_does_not_say_alone_where_the_line_between_classes_falls() -> None:
    labels, raw = leaning(200, (0.8, -0.4, -0.4))
    others, their_raw = leaning(2_000, (0, 0, 0), seed=1)
    pictures = np.append(labels, others), np.concatenate([raw, their_raw])
    sources = ("small",) * 200 + ("large",) * 2_000
    by_picture = fit_answers(CONTRACT, Sample.of_split(*pictures)).offsets
    by_source = fit_answers(CONTRACT, Sample.of_split(*pictures, sources)).offsets
    assert spread(by_source) > spread(by_picture) + 0.1


@pytest.mark.parametrize(
    "factor", [pytest.param(2.5, id="overconfident"), pytest.param(0.5, id="underconfident")]
)
def test_with_many_pictures_the_temperature_is_that_which_mends_them(factor: float) -> None:
    labels, raw = overconfident(20_000, factor)
    temperature = fit_temperature(CONTRACT, labels, raw)
    assert temperature == pytest.approx(factor, rel=0.06)
    scaled = CONTRACT.model_copy(update={"temperature": temperature})
    before = expected_calibration_error(labels, raw.astype(np.float64))
    assert expected_calibration_error(labels, scaled.calibrate(raw)) < before / 3


def test_with_few_pictures_the_correction_is_smaller_than_the_minimum_asks_for() -> None:
    found = [fit_temperature(CONTRACT, *overconfident(60, 2.0, seed)) for seed in range(20)]
    assert 1 < np.mean(found) < 2


def test_what_is_calibrated_already_is_left_alone() -> None:
    labels, raw = overconfident(2_000, 1.0)
    assert fit_temperature(CONTRACT, labels, raw) == pytest.approx(1.0, abs=0.05)


def test_a_network_that_is_always_right_gets_a_temperature_within_bounds() -> None:
    labels = np.arange(30) % 3
    raw = np.full((30, 3), 0.01, np.float32)
    raw[np.arange(30), labels] = 0.98
    assert 0.05 <= fit_temperature(CONTRACT, labels, raw) <= 1


def test_a_network_that_is_sure_and_wrong_gets_a_finite_temperature() -> None:
    labels = np.zeros(10, np.int64)
    raw = np.tile(np.array([0, 1, 0], np.float32), (10, 1))
    assert np.isfinite(fit_temperature(CONTRACT, labels, raw))


def test_operating_points_are_reached_by_the_stated_share_of_each_class() -> None:
    labels, raw = overconfident(500, 1.0)
    probabilities = raw.astype(np.float64)
    points = fit_operating_points(CLASSES, labels, probabilities)
    assert list(points) == list(CLASSES)
    for label, name in enumerate(CLASSES):
        own = probabilities[labels == label, label]
        assert (own >= points[name]).mean() >= SENSITIVITY
        assert (own >= points[name] + 0.01).mean() < SENSITIVITY + 0.01


def test_the_operating_point_of_one_picture_is_its_own_probability() -> None:
    points = fit_operating_points(("A", "B"), np.array([0, 1]), np.array([[0.7, 0.3], [0.4, 0.6]]))
    assert points == pytest.approx({"A": 0.7, "B": 0.6}, abs=1e-6)


def test_what_needs_no_correction_is_calibrated_all_the_same() -> None:
    labels, raw = overconfident(2_000, 1.0)
    found, _ = calibrate_answers(CONTRACT, Sample.of_split(labels, raw))
    assert found.model_copy(update={"temperature": 1.0}).is_calibrated


@pytest.mark.parametrize(
    ("counts", "sentences"),
    [
        pytest.param((30, 30, 30), 0, id="enough"),
        pytest.param((19, 30, 30), 1, id="few of one class"),
        pytest.param((2, 2, 2), 4, id="few of all"),
    ],
)
def test_too_small_a_val_split_is_told_of(counts: tuple[int, ...], sentences: int) -> None:
    labels = np.repeat(np.arange(3), counts)
    assert len(few_pictures(CLASSES, labels)) == sentences


def test_calibrating_fills_the_contract_and_leaves_the_rest_of_it() -> None:
    labels, raw = overconfident(300, 2.0)
    found, _ = calibrate_answers(CONTRACT, Sample.of_split(labels, raw))
    assert found.is_calibrated
    assert found.calibrated_on is not None
    assert found.calibrated_on.model_dump(exclude={"coverage_found"}) == {
        "split": "val", "pictures": 300, "sources_left_out": (), "coverage_asked": 0.95,
    }  # fmt: skip
    assert found.calibrated_on.coverage_found == pytest.approx(0.95, abs=0.03)
    assert set(found.operating_points) == set(CLASSES)
    fitted = {"temperature", "offsets", "operating_points", "calibrated_on"}
    assert found.model_dump(exclude=fitted) == CONTRACT.model_dump(exclude=fitted)
    assert ModelContract.model_validate_json(found.model_dump_json()) == found
