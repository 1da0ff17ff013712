from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest

from app.inference.engines import openvino
from app.inference.engines.openvino import OpenVINOEngine
from app.inference.engines.tensorflow import TensorFlowEngine
from app.xray.checkpoint import read_checkpoint
from app.xray.errors import NotExplainable
from app.xray.graph.plan import F32, Plan
from app.xray.graph.runtime import compile_graph, computes_bf16
from tests.graphs import graph_of
from tests.networks import build_branched, model_inputs, write_tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from app.xray.graph.graph import Graph


@pytest.fixture(scope="module")
def graph(tiny_checkpoint: Path) -> Graph:
    return graph_of(read_checkpoint(tiny_checkpoint))


@pytest.mark.parametrize(
    "plan", [F32, Plan("f32", "depthwise_conv2d")], ids=["whole", "cut-in-two"]
)
@pytest.mark.parametrize("threads", [1, 3])
def test_its_answers_are_the_references(
    threads: int, plan: Plan, graph: Graph, tiny_checkpoint: Path
) -> None:
    plan = plan._replace(from_layer=plan.from_layer and graph.layers[-1])
    inputs = model_inputs(7)
    engine = OpenVINOEngine(graph, plan, threads=threads)
    reference = TensorFlowEngine(read_checkpoint(tiny_checkpoint), device="cpu")
    expected = reference.predict(inputs, with_features=True)
    found = engine.predict(inputs, with_features=True)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours is not None
        assert theirs is not None
        assert (ours.shape, ours.dtype) == (theirs.shape, np.float32)
        assert np.abs(ours - theirs).max() < 1e-5
    assert np.ptp(found.probabilities, axis=0).max() > 1e-3


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities of their own")
def test_the_threads_that_compute_wait_where_the_event_loop_has_something_to_do(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO's threads get the priority of the one that compiles; a higher number waits."""
    priorities = []

    def compile_as_ever(*arguments: Any, **options: Any) -> Any:
        priorities.append(os.getpriority(os.PRIO_PROCESS, 0))
        return compile_graph(*arguments, **options)

    monkeypatch.setattr(openvino, "compile_graph", compile_as_ever)
    OpenVINOEngine(graph, F32, threads=2)
    assert len(priorities) == 2
    assert min(priorities) > os.getpriority(os.PRIO_PROCESS, 0)


def test_features_are_given_only_when_asked_for(graph: Graph) -> None:
    output = OpenVINOEngine(graph, F32, threads=1).predict(model_inputs(1))
    assert (output.feature_map, output.pooled) == (None, None)


def test_an_answer_does_not_depend_on_its_batch(graph: Graph) -> None:
    engine = OpenVINOEngine(graph, F32, threads=2)
    together = engine.predict(model_inputs(5)).probabilities
    for row, picture in zip(together, model_inputs(5), strict=True):
        assert np.array_equal(engine.predict(picture[None]).probabilities[0], row)


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut-in-two"])
def test_calls_that_overlap_get_each_their_own_answer(cut: bool, graph: Graph) -> None:
    engine = OpenVINOEngine(graph, Plan("f32", graph.layers[-1] if cut else None), threads=3)
    inputs = model_inputs(40)
    expected = engine.predict(inputs).probabilities
    batching = engine.batching
    with ThreadPoolExecutor(batching.threads + batching.ahead) as pool:
        found = pool.map(lambda picture: engine.predict(picture[None]).probabilities[0], inputs)
    assert np.abs(np.stack(list(found)) - expected).max() < 1e-6


@pytest.mark.skipif(not computes_bf16(), reason="this CPU does not compute in bf16")
def test_in_bf16_it_answers_nearly_the_same(graph: Graph) -> None:
    exact = OpenVINOEngine(graph, F32, threads=2).predict(model_inputs(7)).probabilities
    for plan in (Plan("bf16"), Plan("bf16", graph.layers[-1])):
        engine = OpenVINOEngine(graph, plan, threads=2)
        found = engine.predict(model_inputs(7)).probabilities
        assert engine.precision == plan.name
        assert found.dtype == np.float32
        assert 0 < np.abs(found - exact).max() < 0.05


def test_its_gradients_are_the_references(graph: Graph, tiny_checkpoint: Path) -> None:
    engine = OpenVINOEngine(graph, F32, threads=1)
    reference = TensorFlowEngine(read_checkpoint(tiny_checkpoint), device="cpu")
    pooled = reference.predict(model_inputs(5), with_features=True).pooled
    assert pooled is not None
    expected, found = reference.gradients(pooled), engine.gradients(pooled)
    assert (found.shape, found.dtype) == ((5, 3, 8), np.float32)
    assert np.abs(expected).max() > 1e-3
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_what_cannot_be_explained_is_served_all_the_same(tmp_path: Path) -> None:
    path = write_tiny_checkpoint(tmp_path / "model.h5", network=build_branched(keras))
    engine = OpenVINOEngine(graph_of(read_checkpoint(path)), F32, threads=1)
    assert engine.predict(model_inputs(2)).probabilities.shape == (2, 3)
    with pytest.raises(NotExplainable, match=r"cannot be explained: .* joins 2 branches"):
        engine.gradients(np.ones((1, 4), np.float32))
