from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.xray.gate import FeatureGate, PackedArray, summarise

RNG = np.random.default_rng(0)
DIMENSIONS = 6


def gate(**fields: Any) -> FeatureGate:
    """Around zero, twice as wide along the first axis as in every other direction."""
    return FeatureGate(
        **{
            "mean": PackedArray.pack(np.zeros(DIMENSIONS)),
            "scale": PackedArray.pack(np.ones(DIMENSIONS)),
            "axes": PackedArray.pack(np.eye(DIMENSIONS)[:1]),
            "variances": PackedArray.pack(np.array([4.0])),
            "rest": 1.0,
            "threshold": 2.0,
            "refused_on_val": 0.01,
            **fields,
        }
    )


def test_an_array_survives_being_packed_bit_for_bit() -> None:
    array = RNG.normal(size=(3, 5)).astype(np.float32)
    packed = PackedArray.pack(array)
    read = PackedArray.model_validate_json(packed.model_dump_json())
    np.testing.assert_array_equal(read.values, array)
    assert read == packed
    assert hash(read) == hash(packed)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"base64": "AAAA"}, id="too few bytes"),
        pytest.param({"base64": "%%%%"}, id="no base64"),
        pytest.param({"base64": "AADAfw=="}, id="not a number"),
        pytest.param({"base64": "AACAfw=="}, id="infinite"),
        pytest.param({"shape": [-1]}, id="negative shape"),
        pytest.param({"shape": [2]}, id="more than there is"),
        pytest.param({"dtype": "float64"}, id="a field too many"),
    ],
)
def test_a_broken_array_is_refused(change: dict[str, Any]) -> None:
    good = json.loads(PackedArray.pack(np.array([1.0])).model_dump_json())
    with pytest.raises(ValidationError):
        PackedArray.model_validate_json(json.dumps({**good, **change}))


@pytest.mark.parametrize(
    ("point", "distance"),
    [
        pytest.param([0, 0, 0, 0, 0, 0], 0.0, id="the centre"),
        pytest.param([4, 0, 0, 0, 0, 0], 2.0, id="along the wide axis"),
        pytest.param([0, 4, 0, 0, 0, 0], 4.0, id="across it"),
        pytest.param([4, 0, 0, 3, 0, 0], np.sqrt(4 + 9), id="both"),
    ],
)
def test_the_score_is_the_mahalanobis_distance(point: list[float], distance: float) -> None:
    (score,) = gate().score(np.array([point], np.float32))
    assert score == pytest.approx(distance / np.sqrt(DIMENSIONS))


def test_a_score_hangs_on_no_other_picture_of_its_batch() -> None:
    dimensions, count = 2048, 64
    axes = np.linalg.qr(RNG.normal(size=(dimensions, count)))[0].T
    wide = gate(
        mean=PackedArray.pack(np.zeros(dimensions)),
        scale=PackedArray.pack(np.ones(dimensions)),
        axes=PackedArray.pack(axes),
        variances=PackedArray.pack(RNG.uniform(1, 9, count)),
    )
    summaries = RNG.normal(size=(8, dimensions)).astype(np.float32)
    alone = [wide.score(summaries[i : i + 1])[0] for i in range(len(summaries))]
    assert wide.score(summaries).tolist() == alone


def test_the_score_is_that_of_the_whole_covariance_matrix() -> None:
    axes = np.linalg.qr(RNG.normal(size=(DIMENSIONS, DIMENSIONS)))[0][:2]
    variances, rest = np.array([5.0, 3.0]), 0.5
    mean, scale = RNG.normal(size=DIMENSIONS), RNG.uniform(0.5, 2, DIMENSIONS)
    covariance = axes.T @ np.diag(variances - rest) @ axes + rest * np.eye(DIMENSIONS)
    points = RNG.normal(size=(20, DIMENSIONS))
    centred = (points - mean) / scale
    expected = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred)
    found = gate(
        mean=PackedArray.pack(mean),
        scale=PackedArray.pack(scale),
        axes=PackedArray.pack(axes),
        variances=PackedArray.pack(variances),
        rest=rest,
    ).score(points)
    np.testing.assert_allclose(found, np.sqrt(expected / DIMENSIONS), rtol=1e-4)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"scale": PackedArray.pack(np.ones(5))}, id="scale of another length"),
        pytest.param({"axes": PackedArray.pack(np.eye(5)[:1])}, id="axes of another length"),
        pytest.param({"variances": PackedArray.pack(np.ones(2))}, id="more variances than axes"),
        pytest.param({"variances": PackedArray.pack(np.zeros(1))}, id="no variance"),
        pytest.param({"scale": PackedArray.pack(np.zeros(DIMENSIONS))}, id="no scale"),
        pytest.param({"mean": PackedArray.pack(np.zeros((1, DIMENSIONS)))}, id="mean of two axes"),
        pytest.param({"rest": 0.0}, id="no variance elsewhere"),
        pytest.param({"threshold": 0.0}, id="a threshold that shares cannot be taken of"),
        pytest.param({"threshold": -0.1}, id="a threshold below all scores"),
        pytest.param({"threshold": float("nan")}, id="threshold not a number"),
        pytest.param({"refused_on_val": 1.5}, id="a share above one"),
        pytest.param({"method": "knn"}, id="a method of a later version"),
    ],
)
def test_a_gate_whose_parts_do_not_fit_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        gate(**fields)


def test_a_summary_is_the_mean_and_the_maximum_of_each_channel() -> None:
    feature_map = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    summaries = summarise(feature_map)
    assert summaries.shape == (2, 10)
    assert summaries.dtype == np.float32
    np.testing.assert_allclose(summaries[1, 2], feature_map[1, :, :, 2].mean(), atol=1e-6)
    assert summaries[1, 7] == feature_map[1, :, :, 2].max()
