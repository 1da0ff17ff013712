from __future__ import annotations

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from tests.networks import build_tiny
from training.recipes.config import Recipe
from training.train.consistency import Consistent, disagreement


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        pytest.param([[0.2, 0.3, 0.5]] * 2, 0, id="alike"),
        pytest.param([[1, 0, 0], [0, 1, 0]], np.log(2), id="nothing in common"),
        pytest.param([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], np.log(2) / 2, id="mean"),
    ],
)
def test_disagreement_is_the_mean_divergence_of_the_pairs(
    pairs: list[list[float]], expected: float
) -> None:
    assert float(disagreement(np.array(pairs, np.float32))) == pytest.approx(expected, abs=1e-5)


def test_disagreement_counts_in_training_and_not_in_validation() -> None:
    plain = build_tiny(keras, 3)
    network = Consistent(plain, weight=2.0)
    network.compile(loss="categorical_crossentropy")
    answers, targets = np.array([[1, 0, 0], [0, 1, 0]], np.float32), np.eye(3)[[0, 0]]
    losses = [
        float(network.compute_loss(None, targets, answers, training=training))
        for training in (True, False)
    ]
    assert losses[0] - losses[1] == pytest.approx(2 * np.log(2), abs=1e-5)


def test_the_network_that_is_trained_has_the_weights_of_the_one_that_is_served() -> None:
    plain = build_tiny(keras, 3)
    network = Consistent(plain, weight=1.0)
    network.set_weights([weight + 1 for weight in plain.get_weights()])
    for ours, theirs in zip(network.weights, plain.weights, strict=True):
        assert ours is theirs


def test_pairs_are_not_mixed_with_others() -> None:
    with pytest.raises(ValidationError, match="one of the two"):
        Recipe(mixup=0.2, consistency=1)
