from __future__ import annotations

import numpy as np
import pytest

from app.xray.contract import ModelContract
from training.evaluation.calibrate import (
    calibrate_answers,
    fit_answers,
    fit_operating_points,
    fit_temperature,
)
from training.evaluation.sample import WHOLE_PAIR, Sample, find_coverage

CONTRACT = ModelContract.recipe_of_2022(("A", "B"))


def answered(shift: float, count: int, seed: int, split: str = "val", name: str = "x") -> Sample:
    """Two classes, `count` pictures of each, that a network tells the worse the less the shift."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], count)
    towards = rng.normal(shift, 1, 2 * count)
    right = 1 / (1 + np.exp(-towards))
    raw = np.stack(
        [np.where(labels == 0, right, 1 - right), np.where(labels == 1, right, 1 - right)]
    )
    return Sample.of_split(labels, raw.T, [name] * (2 * count), split)


def test_each_pair_of_source_and_class_weighs_alike_and_val_as_one_more() -> None:
    val = answered(2, 50, 0, name="large")
    others = [answered(1, 400, 1, name="large"), answered(1, 30, 2, name="small")]
    pool = Sample.pooled(val, others)
    assert pool.weights.sum() == pytest.approx(1)
    groups = np.array(pool.sources)
    groups[pool.rounds == 0] = "val"
    for group in ("val", "large", "small"):
        for label in (0, 1):
            own = (groups == group) & (pool.labels == label)
            assert pool.weights[own].sum() == pytest.approx(1 / 6)


def test_a_pair_of_a_few_pictures_weighs_so_much_less() -> None:
    few = answered(1, 3, 1, name="few")
    pool = Sample.pooled(answered(2, 50, 0), [few, answered(1, 400, 2, name="many")])
    own = np.array(pool.sources) == "few"
    rest = pool.weights[np.array(pool.sources) == "many"].sum()
    assert pool.weights[own].sum() / rest == pytest.approx(3 / WHOLE_PAIR)


def test_with_equal_weights_the_point_is_that_of_split_conformal_prediction() -> None:
    probabilities = np.linspace(0.01, 0.99, 99)[:, None].repeat(2, 1)
    labels = np.zeros(99, np.int64)
    (point,) = fit_operating_points(("A", "B"), labels, probabilities).values()
    # The 95th largest of 99: ceil(100 x 0.95).
    assert point == pytest.approx(np.sort(probabilities[:, 0])[::-1][94], abs=1e-6)
    weights = np.full(99, 7.0)
    assert fit_operating_points(("A", "B"), labels, probabilities, weights) == {"A": point}


@pytest.mark.parametrize("count", [1, 5, 18])
def test_of_pictures_too_few_for_95_percent_the_smallest_probability_is_the_point(
    count: int,
) -> None:
    probabilities = np.linspace(0.2, 0.9, count)[:, None].repeat(2, 1)
    points = fit_operating_points(("A", "B"), np.zeros(count, np.int64), probabilities)
    assert points == pytest.approx({"A": probabilities[:, 0].min()}, abs=1e-6)


def test_weights_move_the_point_and_the_temperature_as_copies_of_pictures_would() -> None:
    one = answered(1, 300, 5)
    weights = np.where(np.arange(600) % 3 == 0, 3.0, 1.0)
    copies = np.repeat(np.arange(600), weights.astype(int))
    weighed = fit_temperature(CONTRACT, one.labels, one.raw, weights / weights.sum())
    copied = fit_temperature(CONTRACT, one.labels[copies], one.raw[copies])
    assert weighed == pytest.approx(copied, abs=0.1)
    points = fit_operating_points(("A", "B"), one.labels, one.raw, weights)
    expected = fit_operating_points(("A", "B"), one.labels[copies], one.raw[copies])
    assert points == pytest.approx(expected, abs=0.02)


def test_sets_of_a_further_picture_hold_the_truth_as_often_as_asked_for() -> None:
    held = []
    for seed in range(200):
        sample = answered(1, 40, seed)
        contract = fit_answers(CONTRACT, sample.choose(np.arange(80) % 2 == 0))
        rest = sample.choose(np.arange(80) % 2 == 1)
        sets = contract.prediction_sets(contract.calibrate(rest.raw))
        held.append(sets[np.arange(len(sets)), rest.labels].mean())
    assert np.mean(held) == pytest.approx(0.95, abs=0.01)


def test_what_is_found_is_of_sources_that_the_points_were_not_fitted_on() -> None:
    """One source of three is answered badly: by points of all it is covered, by others' not."""
    val = answered(3, 200, 0, name="known")
    easy, hard = answered(3, 200, 1, name="easy"), answered(-1, 200, 2, name="hard")
    pool = Sample.pooled(val, [easy, hard])

    found = find_coverage(pool, lambda part: fit_answers(CONTRACT, part))
    held = {source: [] for source in ("easy", "hard")}
    for source, _, count, _, holds, _ in found.pairs():
        assert count == 200
        held[source].append(holds)
    assert set(held) == {"easy", "hard"}
    assert min(held["easy"]) > 0.99
    assert max(held["hard"]) < 0.5
    assert not found.judged[pool.rounds == 0].any()

    all_of_them = fit_answers(CONTRACT, pool)
    sets = all_of_them.prediction_sets(all_of_them.calibrate(pool.raw))
    own = np.array(pool.sources) == "hard"
    assert sets[np.arange(len(sets)), pool.labels][own].mean() > 0.8
    contract, _ = calibrate_answers(CONTRACT, pool)
    assert contract.calibrated_on is not None
    assert contract.calibrated_on.coverage_found == found.coverage < 0.8


def test_sources_left_out_move_the_points_and_no_offset() -> None:
    val = answered(3, 200, 0, name="known")
    alone = fit_answers(CONTRACT, val)
    pooled = fit_answers(CONTRACT, Sample.pooled(val, [answered(-1, 200, 2, name="hard")]))
    assert pooled.offsets == alone.offsets
    assert max(pooled.operating_points.values()) < min(alone.operating_points.values())


def test_the_pictures_of_val_of_a_source_have_no_part_where_it_is_judged() -> None:
    val = answered(3, 100, 0, name="hard")
    fitted: list[set[str]] = []

    def note(part: Sample) -> ModelContract:
        fitted.append(set(part.sources))
        return fit_answers(CONTRACT, part)

    find_coverage(
        Sample.pooled(val, [answered(1, 50, 1, name="hard"), answered(1, 50, 2, name="easy")]), note
    )
    assert fitted == [{"easy"}, {"hard"}]


def test_a_class_that_only_one_source_holds_is_not_judged() -> None:
    one = answered(2, 50, 1, name="one")
    only_a = answered(2, 50, 2, name="other")
    only_a = only_a.choose(only_a.labels == 0)
    val = answered(2, 50, 3, name="one")
    found = find_coverage(
        Sample.pooled(val, [one, only_a]), lambda part: fit_answers(CONTRACT, part)
    )
    assert [(source, label) for source, label, *_ in found.pairs()] == [("one", 0), ("other", 0)]


def test_of_val_alone_each_tenth_is_judged_by_the_rest() -> None:
    sample = answered(1, 500, 4)
    found = find_coverage(sample, lambda part: fit_answers(CONTRACT, part))
    assert found.judged.all()
    assert found.coverage == pytest.approx(0.95, abs=0.02)


def test_of_one_picture_a_class_nothing_is_found() -> None:
    sample = answered(1, 1, 4)
    assert calibrate_answers(CONTRACT, sample)[0].calibrated_on.coverage_found is None
