from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from app.xray.checkpoint import read_checkpoint
from app.xray.errors import EngineError
from app.xray.graph.plan import F32
from app.xray.graph.runtime import computes_bf16
from tests.graphs import graph_of
from training.evaluation import precision
from training.evaluation.precision import find_cut, find_cut_of

if TYPE_CHECKING:
    from pathlib import Path

    from app.xray.contract import ModelContract
    from app.xray.graph.graph import Graph
    from app.xray.graph.plan import Plan

PIXELS = np.zeros((400, 4, 4, 3), np.uint8)
EXACT = np.array([0.6, 0.3, 0.1], np.float32)


class Layers:
    """A network whose bf16 departs by what a test says for each layer; no graph is run.

    `shifts` gives, for each, the change of the first probability of a val picture, that of a
    probe, and how many labels of val change.
    """

    def __init__(self, shifts: dict[str, tuple[float, float, int] | None]) -> None:
        self.layers = tuple(shifts)
        self.shifts = shifts
        self.tried: list[str] = []

    def run(self, _: Any, plan: Plan) -> Any:
        if plan == F32:
            return lambda inputs: np.tile(EXACT, (len(inputs), 1))
        shift = self.shifts[plan.from_layer or ""]
        if shift is None:
            raise EngineError("passed by")
        self.tried.append(plan.from_layer or "")
        of_val, of_probe, labels = shift
        left = [labels]

        def answers(inputs: np.ndarray) -> np.ndarray:
            is_probe = len(inputs) == 8
            found = np.tile(EXACT, (len(inputs), 1))
            moved = of_probe if is_probe else of_val
            found += np.array([-moved, moved, 0], np.float32)
            if not is_probe:
                count = min(left[0], len(inputs))
                left[0] -= count
                found[:count] = [0.449, 0.451, 0.1]
            return found

        return answers


@pytest.mark.parametrize(
    ("shifts", "expected"),
    [
        pytest.param({"a": (0.01, 0.01, 0), "b": (0, 0, 0)}, "a", id="the-first-that-will-do"),
        pytest.param({"a": (0.06, 0, 0), "b": (0.049, 0, 0)}, "b", id="moves-too-far"),
        pytest.param({"a": (0, 0.06, 0), "b": (0, 0.049, 0)}, "b", id="moves-a-probe-too-far"),
        pytest.param({"a": None, "b": (0, 0, 0)}, "b", id="no-place-to-cut"),
        pytest.param({"a": (0.06, 0, 0), "b": (0.06, 0, 0)}, None, id="none"),
        pytest.param({}, None, id="no-layers"),
    ],
)
def test_the_earliest_cut_that_keeps_the_answers_is_found(
    shifts: Any, expected: str | None, contract: ModelContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Layers(shifts)
    monkeypatch.setattr(precision, "runner", network.run)
    found = find_cut_of(network, contract, PIXELS)  # type: ignore[arg-type]
    assert (found and found.from_layer) == expected
    if found:
        assert found.pictures == 400
        assert found.largest_difference == pytest.approx(max(shifts[expected][0], 0), abs=1e-6)


@pytest.mark.parametrize(("changed", "taken"), [(2, True), (3, False)])
def test_so_many_labels_may_change(
    changed: int, taken: bool, contract: ModelContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "LARGEST_DIFFERENCE", 0.2)
    network = Layers({"a": (0, 0, changed)})
    monkeypatch.setattr(precision, "runner", network.run)
    found = find_cut_of(network, contract, PIXELS)  # type: ignore[arg-type]
    assert (found is not None) == taken
    if found:
        assert found.same_label == 0.995


@pytest.mark.skipif(not computes_bf16(), reason="this CPU does not compute in bf16")
def test_of_a_real_network_bf16_departs_as_it_says(tiny_checkpoint: Path) -> None:
    checkpoint = read_checkpoint(tiny_checkpoint)
    graph: Graph = graph_of(checkpoint)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 224, 224, 3), dtype=np.uint8)
    found = find_cut_of(graph, checkpoint.contract, pixels)
    assert found is not None
    assert found.from_layer in graph.layers
    assert 0 < found.largest_difference <= 0.05


def test_a_cpu_that_cannot_tell_finds_none(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "computes_bf16", lambda: False)
    assert find_cut(read_checkpoint(tiny_checkpoint), PIXELS) is None
