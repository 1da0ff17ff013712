from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.inference.engines.compiled import CompiledModel, compiled_model
from app.inference.engines.litert import LiteRTEngine
from app.inference.engines.tensorflow import TensorFlowEngine
from app.xray.checkpoint import read_checkpoint
from app.xray.errors import NotExplainable
from tests.networks import model_inputs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def compiled(tiny_checkpoint: Path, cache_dir: Path) -> CompiledModel:
    return compiled_model(read_checkpoint(tiny_checkpoint), cache_dir)


@pytest.fixture(scope="module")
def model(compiled: CompiledModel) -> Path:
    return compiled.path


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


def test_its_gradients_are_the_references(compiled: CompiledModel, tiny_checkpoint: Path) -> None:
    engine = LiteRTEngine(compiled.path, threads=1, read_gradients=compiled.read_gradients)
    reference = TensorFlowEngine(read_checkpoint(tiny_checkpoint), device="cpu")
    pooled = reference.predict(model_inputs(5), with_features=True).pooled
    assert pooled is not None
    expected, found = reference.gradients(pooled), engine.gradients(pooled)
    assert (found.shape, found.dtype) == ((5, 3, 8), np.float32)
    assert (expected.shape, expected.dtype) == ((5, 3, 8), np.float32)
    assert np.abs(expected).max() > 1e-3
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_gradients_are_read_once_and_not_before_they_are_asked_for(compiled: CompiledModel) -> None:
    read = []

    def read_gradients() -> bytes:
        read.append(1)
        return compiled.read_gradients()

    engine = LiteRTEngine(compiled.path, threads=2, read_gradients=read_gradients)
    pooled = engine.predict(model_inputs(8), with_features=True).pooled
    assert pooled is not None
    assert read == []
    expected = LiteRTEngine(
        compiled.path, threads=1, read_gradients=compiled.read_gradients
    ).gradients(pooled)
    rows = [pooled[i % 8][None] for i in range(64)]
    with ThreadPoolExecutor(4) as pool:
        found = np.concatenate(list(pool.map(engine.gradients, rows)))
    assert np.array_equal(found, np.tile(expected, (8, 1, 1)))
    assert read == [1]


def test_without_gradients_it_predicts_all_the_same(model: Path) -> None:
    engine = LiteRTEngine(model, threads=1)
    output = engine.predict(model_inputs(1), with_features=True)
    assert output.pooled is not None
    with pytest.raises(NotExplainable):
        engine.gradients(output.pooled)
