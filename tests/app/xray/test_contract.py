from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from app.xray.contract import ATTRIBUTE, Estimate, ModelContract
from app.xray.errors import CheckpointRefused

if TYPE_CHECKING:
    from pathlib import Path


def test_a_written_contract_reads_the_same(tmp_path: Path, contract: ModelContract) -> None:
    written = contract.model_copy(
        update={
            "temperature": 1.7,
            "operating_points": {"COVID": 0.4},
            "metrics": {"accuracy": Estimate(value=0.9, low=0.88, high=0.92)},
        }
    )
    with h5py.File(tmp_path / "file.h5", "w") as file:
        written.write(file)
        assert ModelContract.read(file) == written


def test_the_attribute_is_a_json_object_with_the_agreed_names(
    tmp_path: Path, contract: ModelContract
) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        contract.write(file)
        document = json.loads(file.attrs["cxr_contract"])
    assert set(document) == {
        "schema_version", "classes", "input_size", "color_mode", "interpolation", "scale",
        "offset", "temperature", "operating_points", "ood", "dataset", "metrics", "trained_at",
        "versions",
    }  # fmt: skip
    assert document["input_size"] == [224, 224]
    assert document["scale"] == 1 / 255


def test_a_file_without_the_attribute_has_no_contract(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        assert ModelContract.read(file) is None


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("not json", id="no-json"),
        pytest.param("[]", id="no-object"),
        pytest.param("{}", id="empty"),
        pytest.param('{"schema_version": 2}', id="of-a-later-schema"),
        pytest.param(7, id="a-number"),
    ],
)
def test_what_is_no_contract_is_refused_by_name(tmp_path: Path, document: object) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.attrs[ATTRIBUTE] = document
        with pytest.raises(CheckpointRefused, match=r"cxr_contract.*schema version 1"):
            ModelContract.read(file)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("classes", ["A"]),
        ("classes", ["A", "A"]),
        ("classes", ["A", ""]),
        ("input_size", [0, 224]),
        ("input_size", [224, 1_000_000]),
        ("color_mode", "bgr"),
        ("interpolation", "magic"),
        ("scale", float("nan")),
        ("temperature", 0),
        ("temperature", 1e-3),
        ("temperature", 1e3),
        ("operating_points", {"LUPUS": 0.5}),
        ("operating_points", {"COVID": 1.5}),
        ("stranger", 1),
    ],
    ids=str,
)
def test_a_field_outside_its_range_is_no_contract(
    field: str, value: Any, contract: ModelContract
) -> None:
    with pytest.raises(ValidationError, match=field.split("_")[0]):
        ModelContract.model_validate({**contract.model_dump(), field: value})


def test_a_contract_cannot_be_changed(contract: ModelContract) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        contract.temperature = 2.0  # type: ignore[misc]


def test_temperature_is_the_softmax_of_divided_logits(contract: ModelContract) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 3))
    expected = np.exp(logits / 2.5) / np.exp(logits / 2.5).sum(axis=1, keepdims=True)
    uncalibrated = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    calibrated = contract.model_copy(update={"temperature": 2.5})
    assert np.abs(calibrated.calibrate(uncalibrated.astype(np.float32)) - expected).max() < 1e-6
    assert calibrated.is_calibrated
    assert not contract.is_calibrated


@pytest.mark.parametrize("temperature", [0.05, 100.0])
def test_the_extreme_temperatures_still_give_probabilities(
    temperature: float, contract: ModelContract
) -> None:
    rows = np.array([[0.4, 0.35, 0.25], [1, 0, 0], [1e-30, 1e-38, 1]], np.float32)
    found = contract.model_copy(update={"temperature": temperature}).calibrate(rows)
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-12
    assert np.array_equal(found.argmax(axis=1), rows.argmax(axis=1))


def test_calibrated_probabilities_sum_to_one_closely(contract: ModelContract) -> None:
    rough = np.array([[0.3, 0.3, 0.4001], [1, 0, 0], [1e-30, 1e-38, 1]], np.float32)
    assert np.abs(contract.calibrate(rough).sum(axis=1) - 1).max() < 1e-12
