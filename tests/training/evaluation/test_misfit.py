from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from app.xray.contract import ModelContract
from app.xray.errors import TrainingError
from training.evaluation.misfit import best_order, refuse_misfit
from training.evaluation.sample import Sample

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")
CONTRACT = ModelContract.recipe_of_2022(CLASSES)


def answers(count: int, sure: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and softmax outputs that are right the more often the greater `sure` is."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    logits = rng.normal(size=(count, 3)) + sure * np.eye(3)[labels]
    powers = np.exp(logits)
    return labels, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("count", [6, 60, 600])
def test_a_network_that_knows_its_classes_is_let_through(count: int) -> None:
    refuse_misfit(CONTRACT, Sample.of_split(*answers(count, 4.0)))


@pytest.mark.parametrize("order", [o for o in permutations(range(3)) if o != (0, 1, 2)], ids=str)
def test_outputs_under_wrong_names_are_refused_and_the_names_that_fit_are_said(
    order: tuple[int, ...],
) -> None:
    labels, raw = answers(300, 4.0)
    named = ",".join(CLASSES[label] for label in order)
    with pytest.raises(TrainingError, match=f"with the outputs named {named}: give the model"):
        refuse_misfit(CONTRACT, Sample.of_split(labels, raw[:, list(order)]))


def test_two_names_exchanged_among_many_are_found_though_it_is_no_chance() -> None:
    classes = tuple("ABCDEFGH")
    labels = np.arange(160) % 8
    raw = np.full((160, 8), 0.02, np.float32)
    raw[np.arange(160), labels] = 0.86
    contract = ModelContract.recipe_of_2022(classes)
    refuse_misfit(contract, Sample.of_split(labels, raw))
    exchanged = raw[:, [0, 1, 5, 3, 4, 2, 6, 7]]
    with pytest.raises(TrainingError, match=r"75% .* 100% with the outputs named A,B,F,D,E,C,G,H"):
        refuse_misfit(contract, Sample.of_split(labels, exchanged))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(np.tile(np.float32([0.2, 0.5, 0.3]), (60, 1)), id="always the same"),
        pytest.param(answers(60, 0.0)[1], id="drawn"),
    ],
)
def test_a_network_that_guesses_is_refused(raw: np.ndarray) -> None:
    with pytest.raises(TrainingError, match=r"and chance is 33%: no order of the names fits"):
        refuse_misfit(CONTRACT, Sample.of_split(np.arange(60) % 3, raw))


def test_outputs_that_are_no_probabilities_are_refused_for_their_temperature() -> None:
    labels, raw = answers(300, 2.0)
    logits = 60 * np.log(raw.astype(np.float64))
    sharp = np.exp(logits - logits.max(axis=1, keepdims=True))
    with pytest.raises(TrainingError, match=r"likeliest temperature, 20\.00, lies at its bound"):
        refuse_misfit(CONTRACT, Sample.of_split(labels, sharp))


def test_a_network_that_is_always_right_is_let_through_however_unsure() -> None:
    labels = np.arange(60) % 3
    raw = np.full((60, 3), 0.33, np.float32)
    raw[np.arange(60), labels] = 0.34
    refuse_misfit(CONTRACT, Sample.of_split(labels, raw))


def test_where_a_class_has_no_picture_no_order_is_proposed() -> None:
    labels, raw = answers(300, 4.0)
    there = labels != 2
    sample = Sample.of_split(labels[there], raw[there][:, [1, 0, 2]])
    with pytest.raises(TrainingError, match="no order of the names fits"):
        refuse_misfit(CONTRACT, sample)


def test_the_best_order_is_that_of_all_permutations() -> None:
    rng = np.random.default_rng(3)
    labels, found = rng.integers(0, 5, 400), rng.integers(0, 5, 400)

    def right(order: tuple[int, ...]) -> float:
        meant = np.array(order)
        return float(
            np.mean([(found == meant[labels])[labels == label].mean() for label in range(5)])
        )

    assert right(tuple(best_order(labels, found, 5))) == max(map(right, permutations(range(5))))
