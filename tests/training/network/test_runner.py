from __future__ import annotations

import keras
import numpy as np
import pytest

from app.xray.contract import ModelContract
from app.xray.errors import TrainingError
from app.xray.gate import summarise
from app.xray.network import expose_features
from tests.bounds import TINY_FEATURES, TINY_PROBABILITIES
from tests.networks import build_tiny, model_inputs
from training.network.runner import Runner

CONTRACT = ModelContract.recipe_of_2022()


def test_pictures_are_run_in_batches_and_answers_stay_in_order() -> None:
    keras.utils.set_random_seed(7)
    network = build_tiny(keras)
    pixels = (model_inputs(35) * 255).astype(np.uint8)
    counted: list[int] = []

    def track(batches: object, total: int) -> object:
        counted.append(total)
        return batches

    answers = Runner(network, CONTRACT, track).run(pixels)  # type: ignore[arg-type]
    assert counted == [2]
    expected = expose_features(network)(pixels.astype(np.float32) * np.float32(1 / 255))
    assert np.abs(answers.raw - expected["probabilities"]).max() < TINY_PROBABILITIES
    near = TINY_FEATURES * np.abs(expected["feature_map"]).max()
    assert np.abs(answers.pooled - expected["pooled"]).max() < near
    summaries = summarise(np.asarray(expected["feature_map"]))
    assert np.abs(answers.summaries - summaries).max() < near
    apart = np.abs(np.diff(summaries, axis=0)).max(axis=1)
    assert apart.min() > 10 * near, "two pictures of which one could be taken for the other"


def test_a_network_that_diverged_is_told_of() -> None:
    network = build_tiny(keras)
    network.layers[-1].bias.assign([np.nan] * 3)
    with pytest.raises(TrainingError, match="diverged"):
        Runner(network, CONTRACT).run((model_inputs(2) * 255).astype(np.uint8))
