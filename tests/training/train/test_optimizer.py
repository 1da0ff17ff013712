from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

from tests.networks import build_tiny
from training.network.mobilenet import is_below_head
from training.recipes.config import FitConfig
from training.train.optimizer import build_optimizer

if TYPE_CHECKING:
    from typing import Any


def config(**settings: Any) -> FitConfig:
    return FitConfig(data=Path("data"), out=Path("out"), **settings)


def moved(**settings: Any) -> dict[bool, float]:
    """How far the weights below the head, and those of it, move in one step of equal gradients."""
    network = build_tiny(keras)
    before = [variable.numpy() for variable in network.trainable_variables]
    optimizer = build_optimizer(network, config(**settings), steps=10)
    optimizer.apply(
        [keras.ops.ones_like(variable) for variable in network.trainable_variables],
        network.trainable_variables,
    )
    found: dict[bool, float] = {}
    for old, variable in zip(before, network.trainable_variables, strict=True):
        below = is_below_head(network, variable)
        found[below] = max(found.get(below, 0), float(np.abs(variable.numpy() - old).max()))
    return found


def test_layers_below_the_head_move_by_their_share() -> None:
    found = moved(learning_rate=0.01, backbone_rate=0.25)
    assert found[False] == pytest.approx(0.01, rel=1e-3)
    assert found[True] == pytest.approx(0.0025, rel=1e-3)


def test_without_a_share_all_move_alike() -> None:
    found = moved(learning_rate=0.01)
    assert found[True] == pytest.approx(found[False], rel=1e-3)


def test_the_rate_rises_and_falls_along_a_cosine() -> None:
    asked = config(learning_rate=0.01, schedule="cosine", epochs=4, warmup_epochs=1)
    optimizer = build_optimizer(build_tiny(keras), asked, steps=10)
    rates = []
    for step in (0, 5, 10, 25, 40):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert rates == pytest.approx([0, 0.005, 0.01, 0.00505, 0.0001], abs=1e-6)


def test_biases_and_normalization_do_not_decay() -> None:
    network = build_tiny(keras)
    optimizer = build_optimizer(network, config(weight_decay=0.1), steps=1)
    optimizer.build(network.trainable_variables)
    decays = {
        variable.path.rsplit("/", 1)[-1]
        for variable in network.trainable_variables
        if optimizer._use_weight_decay(variable)
    }
    assert decays == {"kernel"}
