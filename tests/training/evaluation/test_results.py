from __future__ import annotations

import numpy as np

from training.evaluation.results import (
    class_figures,
    mean_over_pairs,
    recalls_of_pairs,
    set_figures,
)


def certain(answers: list[int]) -> np.ndarray:
    """Probabilities (n, 3) that leave no doubt."""
    return np.eye(3)[answers]


def test_in_a_mean_over_pairs_a_small_source_counts_as_much_as_a_large_one() -> None:
    labels = np.array([0] * 90 + [0] * 10 + [1] * 10)
    answers = certain([0] * 90 + [1] * 10 + [1] * 5 + [2] * 5)
    found = mean_over_pairs(labels, answers, ["large"] * 90 + ["small"] * 20)
    assert found.value == (1 + 0 + 0.5) / 3
    assert found.low < found.value < found.high


def test_a_pair_of_very_few_pictures_has_no_part_in_the_mean() -> None:
    labels = np.array([0] * 14)
    answers, sources = certain([0] * 10 + [1] * 4), ["a"] * 10 + ["b"] * 4
    assert mean_over_pairs(labels, answers, sources).value == 1
    assert recalls_of_pairs(labels, answers, sources, "XYZ") == {"a/X": 1}


def test_where_all_pairs_of_a_class_are_as_small_they_have_a_part() -> None:
    labels = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    answers, sources = certain([0, 1, 1, 1, 1, 1, 1, 0]), [*"aab", *"bbbbc"]
    assert recalls_of_pairs(labels, answers, sources, "XYZ") == {"a/X": 0.5, "b/Y": 1}
    assert mean_over_pairs(labels, answers, sources).value == 0.75


def test_without_sources_the_mean_over_pairs_is_that_over_classes() -> None:
    labels = np.array([0] * 10 + [1] * 5)
    answers = certain([0] * 15)
    assert recalls_of_pairs(labels, answers, (), "XYZ") == {"all/X": 1, "all/Y": 0}
    assert mean_over_pairs(labels, answers, ()).value == 0.5


def test_sets_are_counted_by_their_size_and_those_of_one_class_by_whether_they_are_wrong() -> None:
    labels = np.array([0, 0, 1, 2])
    sets = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], bool)
    assert set_figures(labels, sets) == (1.0, 2, 1)


def test_of_each_class_it_is_told_how_many_sets_hold_it() -> None:
    labels = np.array([0, 0, 2, 2])
    sets = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0]], bool)
    found = class_figures(labels, certain([0, 1, 2, 2]), sets, ("a", "b", "c"))
    assert {name: (each.held.value, each.set_size) for name, each in found.items()} == {
        "a": (0.5, 1.5),
        "c": (0.0, 1.0),
    }
