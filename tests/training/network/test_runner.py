from __future__ import annotations

import keras
import numpy as np
import pytest

from app.xray.contract import ModelContract
from app.xray.errors import TrainingError
from app.xray.gate import summarise
from app.xray.network import expose_features
from tests.networks import build_tiny, model_inputs
from training.network.runner import Runner

CONTRACT = ModelContract.recipe_of_2022()


def test_pictures_are_run_in_batches_and_answers_stay_in_order() -> None:
    network = build_tiny(keras)
    pixels = (model_inputs(35) * 255).astype(np.uint8)
    counted: list[int] = []

    def track(batches: object, total: int) -> object:
        counted.append(total)
        return batches

    answers = Runner(network, CONTRACT, track).run(pixels)  # type: ignore[arg-type]
    assert counted == [2]
    expected = expose_features(network)(pixels.astype(np.float32) * np.float32(1 / 255))
    np.testing.assert_allclose(answers.raw, expected["probabilities"], atol=1e-5)
    np.testing.assert_allclose(answers.pooled, expected["pooled"], atol=1e-4)
    summaries = summarise(np.asarray(expected["feature_map"]))
    np.testing.assert_allclose(answers.summaries, summaries, atol=1e-4)


def test_a_network_that_diverged_is_told_of() -> None:
    network = build_tiny(keras)
    network.layers[-1].bias.assign([np.nan] * 3)
    with pytest.raises(TrainingError, match="diverged"):
        Runner(network, CONTRACT).run((model_inputs(2) * 255).astype(np.uint8))
