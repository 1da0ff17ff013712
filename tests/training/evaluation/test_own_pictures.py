from __future__ import annotations

import numpy as np
import pytest

from app.xray.contract import ModelContract
from benchmarks.costs.own_pictures import compare, tell
from training.evaluation.calibrate import fit_answers
from training.evaluation.sample import OWN, Sample

CONTRACT = ModelContract.recipe_of_2022(("A", "B", "C"))


def sample(count: int, shift: float, seed: int = 0) -> Sample:
    """Pictures of A and B, `count` of each, that are told the better the greater the shift."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], count)
    logits = rng.normal(size=(2 * count, 3)) + shift * np.eye(3)[labels]
    powers = np.exp(logits)
    return Sample.of_split(labels, powers / powers.sum(axis=1, keepdims=True), split=OWN)


def test_points_of_one_s_own_come_nearer_than_those_of_an_easier_hospital() -> None:
    general = fit_answers(CONTRACT, sample(400, 5.0))
    here = sample(200, 1.0, seed=1)
    own, brought = compare(here, general, count=60, draws=50, seed=3)
    assert own.coverage.mean() == pytest.approx(0.95, abs=0.02)
    assert brought.coverage.mean() < 0.8
    assert (own.miss < brought.miss).all()
    assert (own.lowest <= own.coverage).all()
    assert own.size.mean() > brought.size.mean()


def test_the_same_seed_draws_the_same() -> None:
    general = fit_answers(CONTRACT, sample(100, 2.0))
    (one, _), (two, _) = (compare(sample(60, 1.0), general, 20, 5, seed=3) for _ in range(2))
    assert np.array_equal(one.coverage, two.coverage)


def test_a_class_without_pictures_keeps_the_point_that_the_file_has() -> None:
    always = CONTRACT.model_copy(update={"operating_points": {"A": 0.1, "B": 0.1, "C": 0.0}})
    own, _ = compare(sample(60, 3.0), always, count=20, draws=5, seed=1)
    assert (own.size >= 1.9).all()  # C, whose point anything reaches, beside the truth


def test_from_how_many_on_it_is_better_is_told_and_what_is_too_many_to_draw() -> None:
    general = fit_answers(CONTRACT, sample(400, 5.0))
    lines = list(tell(sample(100, 1.0, seed=1), general, [20, 40, 80], draws=20, seed=1))
    assert lines[0] == "200 pictures, 100 of A, 100 of B; 20 draws"
    assert "| 80 | too few: 30 of each class are to be left" in "\n".join(lines)
    assert lines[-1] == "better in most draws from 20 pictures of each class on"


def test_where_the_points_of_the_file_fit_already_few_of_one_s_own_are_not_better() -> None:
    general = fit_answers(CONTRACT, sample(5000, 2.0))
    lines = list(tell(sample(1000, 2.0, seed=1), general, [5], draws=40, seed=1))
    assert lines[-1] == "not better in most draws with any of these numbers"
