from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import app.inference.engines
from app.inference.engines import create_engine
from app.inference.engines.known_answers import hold
from app.inference.engines.tensorflow import TensorFlowEngine
from app.xray.checkpoint import Checkpoint, read_checkpoint
from app.xray.contract import LowerPrecision
from app.xray.errors import EngineError
from app.xray.graph.runtime import computes_bf16
from app.xray.preprocess import rescale
from app.xray.probes import draw_probes
from tests.graphs import graph_of

if TYPE_CHECKING:
    from pathlib import Path

needs_bf16 = pytest.mark.skipif(not computes_bf16(), reason="this CPU does not compute in bf16")


def known_to(checkpoint: Checkpoint, answers: np.ndarray, **contract: Any) -> Checkpoint:
    known = tuple(tuple(map(float, row)) for row in answers)
    changes = {"known_answers": known, **contract}
    return replace(checkpoint, contract=checkpoint.contract.model_copy(update=changes))


@pytest.fixture(scope="module")
def plain(tiny_checkpoint: Path) -> Checkpoint:
    return read_checkpoint(tiny_checkpoint)


@pytest.fixture(scope="module")
def answers(plain: Checkpoint) -> np.ndarray:
    """The training framework's for the probe pictures."""
    probes = rescale(draw_probes(plain.contract), plain.contract)
    return TensorFlowEngine(plain, device="cpu").predict(probes).probabilities


@pytest.fixture(scope="module")
def checkpoint(plain: Checkpoint, answers: np.ndarray) -> Checkpoint:
    return known_to(plain, answers)


@pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
def test_an_engine_that_gives_the_known_answers_is_served(
    kind: Any, checkpoint: Checkpoint
) -> None:
    engine = create_engine(checkpoint, kind, device="cpu", graph_of=graph_of)
    assert engine.held_against == "known answers"
    assert engine.largest_difference is not None
    assert engine.largest_difference < 1e-4


@pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
@pytest.mark.parametrize(
    ("shift", "words"),
    [
        pytest.param(0.002, r"by up to 0\.002", id="another-probability"),
        pytest.param(np.nan, "by up to nan", id="no-number"),
    ],
)
def test_one_that_departs_from_them_is_refused_with_both_figures(
    kind: Any, shift: float, words: str, plain: Checkpoint, answers: np.ndarray
) -> None:
    other = known_to(plain, answers + np.array([shift, -shift, 0]))
    with pytest.raises(EngineError, match=rf"{words}.* \(allowed: 0\.001"):
        create_engine(other, kind, device="cpu", graph_of=graph_of)


def test_another_label_is_refused_however_near(checkpoint: Checkpoint) -> None:
    class Near:
        name = "near"

        def predict(self, batch: np.ndarray) -> Any:
            found = np.array(checkpoint.contract.known_answers) * 0 + [0.33335, 0.33330, 0.33335]
            return type("Output", (), {"probabilities": found})

    known = np.tile([0.33330, 0.33340, 0.33330], (8, 1))
    with pytest.raises(EngineError, match="8 with another label"):
        hold(Near(), known_to(checkpoint, known))  # type: ignore[arg-type]


def test_answers_for_other_pictures_are_told(plain: Checkpoint, answers: np.ndarray) -> None:
    with pytest.raises(EngineError, match="its known answers are of 3 pictures, not 8"):
        create_engine(known_to(plain, answers[:3]), graph_of=graph_of)


def test_without_them_two_layouts_are_held_against_each_other(
    plain: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(plain, graph_of=graph_of)
    assert engine.held_against == "other layout"
    assert engine.largest_difference is not None
    assert engine.largest_difference < 1e-5
    assert "carries no known answers: two layouts of its network were held" in caplog.text


def bf16_from(layer: str) -> dict[str, Any]:
    found = LowerPrecision(from_layer=layer, same_label=1, largest_difference=0.01, pictures=100)
    return {"precisions": {"bf16": found}}


@needs_bf16
@pytest.mark.parametrize(
    ("setting", "expected"),
    [("auto", "bf16 from {}"), ("f32", "f32"), ("bf16", "bf16")],
    ids=["auto", "f32", "bf16"],
)
def test_the_precision_follows_contract_and_setting(
    setting: Any, expected: str, plain: Checkpoint, answers: np.ndarray
) -> None:
    layer = graph_of(plain).layers[-1]
    checkpoint = known_to(plain, answers, **bf16_from(layer))
    engine = create_engine(checkpoint, precision=setting, graph_of=graph_of)
    assert engine.precision == expected.format(layer)


def test_without_a_cut_in_the_contract_auto_is_f32(checkpoint: Checkpoint) -> None:
    assert create_engine(checkpoint, graph_of=graph_of).precision == "f32"


def test_a_cpu_without_bf16_serves_in_f32_and_refuses_to_be_told_otherwise(
    plain: Checkpoint, answers: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.inference.engines, "computes_bf16", lambda _: False)
    checkpoint = known_to(plain, answers, **bf16_from(graph_of(plain).layers[-1]))
    assert create_engine(checkpoint, graph_of=graph_of).precision == "f32"
    with pytest.raises(EngineError, match="CXR_PRECISION=bf16: this CPU does not compute in bf16"):
        create_engine(checkpoint, precision="bf16", graph_of=graph_of)


@needs_bf16
def test_bf16_that_moves_the_known_answers_too_far_is_not_taken(
    plain: Checkpoint,
    answers: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(app.inference.engines, "_BF16_TOLERANCE", 1e-9)
    checkpoint = known_to(plain, answers, **bf16_from(graph_of(plain).layers[-1]))
    assert create_engine(checkpoint, graph_of=graph_of).precision == "f32"
    assert "runs in f32, not in bf16 from" in caplog.text


@needs_bf16
def test_a_cut_before_a_layer_that_is_not_there_is_told(
    plain: Checkpoint, answers: np.ndarray
) -> None:
    checkpoint = known_to(plain, answers, **bf16_from("nowhere"))
    with pytest.raises(EngineError, match="cannot be cut before a layer 'nowhere'"):
        create_engine(checkpoint, graph_of=graph_of)
