from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.engines.compiled import compiled_model
from app.engines.litert import LiteRTEngine
from app.engines.tensorflow import TensorFlowEngine
from app.xray.checkpoint import read_checkpoint
from tests.networks import model_inputs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path, cache_dir: Path) -> Path:
    return compiled_model(read_checkpoint(tiny_checkpoint), cache_dir).path


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_its_answers_are_the_references(threads: int, model: Path, tiny_checkpoint: Path) -> None:
    inputs = model_inputs(7)
    engine = LiteRTEngine(model, threads=threads)
    reference = TensorFlowEngine(read_checkpoint(tiny_checkpoint), device="cpu")
    expected = reference.predict(inputs, with_features=True)
    found = engine.predict(inputs, with_features=True)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours is not None
        assert theirs is not None
        assert (ours.shape, ours.dtype) == (theirs.shape, np.float32)
        assert np.abs(ours - theirs).max() < 1e-5
    assert np.ptp(found.probabilities, axis=0).max() > 1e-3


def test_features_are_given_only_when_asked_for(model: Path) -> None:
    output = LiteRTEngine(model, threads=1).predict(model_inputs(1))
    assert (output.feature_map, output.pooled) == (None, None)


def test_an_answer_does_not_depend_on_its_batch(model: Path) -> None:
    engine = LiteRTEngine(model, threads=2)
    together = engine.predict(model_inputs(5)).probabilities
    for row, picture in zip(together, model_inputs(5), strict=True):
        assert np.array_equal(engine.predict(picture[None]).probabilities[0], row)


def test_calls_that_overlap_get_each_their_own_answer(model: Path) -> None:
    engine = LiteRTEngine(model, threads=3)
    inputs = model_inputs(40)
    expected = engine.predict(inputs).probabilities
    batching = engine.batching
    with ThreadPoolExecutor(batching.threads + batching.ahead) as pool:
        found = pool.map(lambda picture: engine.predict(picture[None]).probabilities[0], inputs)
    assert np.abs(np.stack(list(found)) - expected).max() < 1e-6
