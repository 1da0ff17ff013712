from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from app.xray.contract import ModelContract
from app.xray.gate import FeatureGate, Gate, OutlineGate, PackedArray, Sight
from app.xray.gate.view import DIMENSIONS, describe
from tests.networks import tiny_gate

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (5, 64, 48, 3), np.uint8)


def gate(**fields: Any) -> OutlineGate:
    weights = np.random.default_rng(1).normal(0, 0.1, DIMENSIONS)
    return OutlineGate(
        **{
            "weights": PackedArray.pack(weights),
            "bias": -0.5,
            "threshold": 2.0,
            "negative_threshold": 1.0,
            "refused_on_val": 0.01,
            **fields,
        }
    )


def test_the_score_is_the_softplus_of_a_weighted_sum() -> None:
    seen = np.stack([describe(picture) for picture in PICTURES]).astype(np.float64)
    logits = seen @ gate().weights.values.astype(np.float64) - 0.5
    np.testing.assert_allclose(gate().score(PICTURES), np.log1p(np.exp(logits)), rtol=1e-9)


@pytest.mark.parametrize("bias", [-2000.0, 2000.0], ids=["low", "high"])
def test_a_score_is_finite_however_far_a_picture_lies(bias: float) -> None:
    scores = gate(bias=bias).score(PICTURES)
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()


def test_a_score_hangs_on_no_other_picture_of_its_batch() -> None:
    alone = [gate().score(PICTURES[i : i + 1])[0] for i in range(len(PICTURES))]
    assert gate().score(PICTURES).tolist() == alone


def test_a_negative_has_to_lie_below_a_lower_threshold() -> None:
    (score,) = gate().score(PICTURES[:1])
    judging = gate(threshold=score * 1.1, negative_threshold=score * 0.9)
    sight = Sight(pixels=lambda: PICTURES[:1], summaries=None)
    (plain,), (negative,) = judging.judge(sight), judging.judge(sight, as_negatives=True)
    assert not plain.is_strange
    assert negative.is_strange


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"weights": PackedArray.pack(np.ones(5))}, id="weights of another view"),
        pytest.param({"threshold": 0.0}, id="a threshold that shares cannot be taken of"),
        pytest.param({"negative_threshold": 3.0}, id="negatives let in more easily"),
        pytest.param({"bias": float("inf")}, id="an infinite bias"),
        pytest.param({"refused_on_val": 1.5}, id="a share above one"),
        pytest.param({"method": "knn"}, id="a method of a later version"),
        pytest.param({"mean": PackedArray.pack(np.ones(5))}, id="a field of the other gate"),
    ],
)
def test_a_gate_whose_parts_do_not_fit_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        gate(**fields)


@pytest.mark.parametrize("made", [gate(), tiny_gate(threshold=1.0)], ids=["outlines", "features"])
def test_a_contract_carries_either_gate(made: OutlineGate | FeatureGate) -> None:
    contract = ModelContract.recipe_of_2022().model_copy(update={"ood": made})
    read = ModelContract.model_validate_json(contract.model_dump_json())
    assert read.ood == made
    assert TypeAdapter(Gate).validate_json(made.model_dump_json()) == made
