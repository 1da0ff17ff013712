from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from app.xray.contract import ATTRIBUTE, RESIZINGS, CalibratedOn, Estimate, ModelContract
from app.xray.errors import CheckpointRefused

if TYPE_CHECKING:
    from pathlib import Path

    from app.xray.contract.outputs import Output
    from app.xray.contract.picture import Channels, Resize


def test_a_written_contract_reads_the_same(tmp_path: Path, contract: ModelContract) -> None:
    written = contract.model_copy(
        update={
            "temperature": 1.7,
            "operating_points": {"COVID": 0.4},
            "calibrated_on": CalibratedOn(
                split="train and val",
                pictures=900,
                sources_left_out=("city", "nih:ozturk"),
                coverage_asked=0.95,
                coverage_found=0.93,
            ),
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
        "schema_version", "classes", "output", "input_size", "channels", "resize", "crop",
        "decode", "scale", "offset", "per_picture", "temperature", "offsets", "operating_points",
        "calibrated_on", "ood", "precisions", "known_answers", "dataset", "metrics", "caveats",
        "trained_at", "versions",
    }  # fmt: skip
    assert document["schema_version"] == 2
    assert document["input_size"] == [224, 224]
    assert document["scale"] == 1 / 255


SCHEMA_1: dict[str, Any] = {
    "schema_version": 1,
    "classes": ["A", "B"],
    "input_size": [224, 192],
    "color_mode": "rgb",
    "interpolation": "box",
    "scale": 1 / 255,
    "offset": -0.5,
    "temperature": 1.5,
    "operating_points": {"A": 0.25},
    "ood": None,
    "dataset": None,
    "metrics": {},
    "trained_at": "2026-01-01T00:00:00+00:00",
    "versions": {"keras": "3.12.0"},
}


def read_as_a_file(document: dict[str, Any], path: Path) -> ModelContract | None:
    with h5py.File(path, "w") as file:
        file.attrs[ATTRIBUTE] = json.dumps(document)
        return ModelContract.read(file)


def test_a_contract_of_schema_1_is_read_and_means_what_it_meant(tmp_path: Path) -> None:
    found = read_as_a_file(SCHEMA_1, tmp_path / "file.h5")
    assert found is not None
    assert (found.resize, found.channels, found.decode) == ("box", "rgb", "full")
    assert (found.classes, found.input_size) == (("A", "B"), (224, 192))
    assert (found.offset, found.temperature) == (-0.5, 1.5)
    assert found.operating_points == {"A": 0.25}
    assert (found.known_answers, found.precisions) == ((), {})
    assert found.schema_version == 2


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"resize": "box"}, id="a-name-of-schema-2"),
        pytest.param({"known_answers": []}, id="a-field-of-schema-2"),
        pytest.param({"interpolation": "magic"}, id="another-method"),
        pytest.param({"schema_version": 3}, id="a-later-schema"),
    ],
)
def test_what_schema_1_did_not_have_is_refused_in_it(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointRefused, match="is no contract of schema version 1 or 2"):
        read_as_a_file({**SCHEMA_1, **changes}, tmp_path / "file.h5")


def test_a_file_without_the_attribute_has_no_contract(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        assert ModelContract.read(file) is None


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("not json", id="no-json"),
        pytest.param("[]", id="no-object"),
        pytest.param("{}", id="empty"),
        pytest.param('{"schema_version": 3}', id="of-a-later-schema"),
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
        ("channels", "rbg"),
        ("channels", 3),
        ("resize", "magic"),
        ("resize", "lanczos-tensorflow"),
        ("resize", "bilinear-pillow"),
        ("crop", "middle"),
        ("scale", float("nan")),
        ("scale", [1 / 255, 1 / 255]),
        ("scale", []),
        ("scale", [1.0, 1.0, 1.0, 1.0]),
        ("offset", [0.0]),
        ("offset", float("inf")),
        ("per_picture", "samplewise"),
        ("temperature", 0),
        ("temperature", 1e-3),
        ("temperature", 1e3),
        ("operating_points", {"LUPUS": 0.5}),
        ("operating_points", {"COVID": 1.5}),
        ("known_answers", [[0.5, 0.5]]),
        ("known_answers", [[0.5, 0.5, 1.5]]),
        ("precisions", {"f16": {}}),
        ("decode", "half"),
        ("decode", "scaled"),
        ("output", "tanh"),
        ("output", "sigmoid-one"),
        ("stranger", 1),
    ],
    ids=str,
)
def test_a_field_outside_its_range_is_no_contract(
    field: str, value: Any, contract: ModelContract
) -> None:
    with pytest.raises(ValidationError, match=field.split("_")[0]):
        ModelContract.model_validate({**contract.model_dump(), field: value})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        pytest.param({"channels": "gray", "scale": [1.0] * 3}, "gray has 1", id="gray-of-three"),
        pytest.param({"channels": "gray", "offset": [0.0] * 3}, "gray has 1", id="offsets-of-gray"),
        pytest.param(
            {"decode": "scaled", "resize": "area-opencv"}, "needs decode full", id="scaled-opencv"
        ),
        pytest.param(
            {"decode": "scaled", "resize": "area-tensorflow"}, "decode full", id="scaled-tensorflow"
        ),
        pytest.param(
            {"crop": "fit", "resize": "bilinear-opencv"}, "no meaning in OpenCV", id="fit-by-opencv"
        ),
    ],
)
def test_fields_that_contradict_each_other_are_no_contract(
    fields: dict[str, Any], says: str, contract: ModelContract
) -> None:
    with pytest.raises(ValidationError, match=says):
        ModelContract.model_validate({**contract.model_dump(), **fields})


@pytest.mark.parametrize("channels", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("resize", RESIZINGS)
def test_every_way_of_resizing_is_written_and_read_back(
    resize: Resize, channels: Channels, tmp_path: Path
) -> None:
    numbers = (1 / 255,) if channels == "gray" else (1.0, 0.5, 1 / 255)
    written = ModelContract(
        classes=("A", "B"), input_size=(150, 4096), resize=resize, channels=channels,
        scale=numbers, offset=numbers, per_picture="center", output="sigmoid-one",
    )  # fmt: skip
    with h5py.File(tmp_path / "file.h5", "w") as file:
        written.write(file)
        assert ModelContract.read(file) == written
    assert written.input_shape == (150, 4096, len(numbers))


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


def test_offsets_move_the_logits_before_the_temperature_divides_them(
    contract: ModelContract,
) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 3))
    moved = np.exp((logits + np.array([1.5, 0, -1])) / 2)
    uncalibrated = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    offsets = {"COVID": 1.5, "PNEUMONIA": -1.0}
    calibrated = contract.model_copy(update={"offsets": offsets, "temperature": 2.0})
    found = calibrated.calibrate(uncalibrated.astype(np.float32))
    assert np.abs(found - moved / moved.sum(axis=1, keepdims=True)).max() < 1e-6
    assert calibrated.is_calibrated
    warmer = calibrated.model_copy(update={"temperature": 20.0}).calibrate(uncalibrated)
    assert np.array_equal(warmer.argmax(axis=1), found.argmax(axis=1))
    assert (found.argmax(axis=1) != uncalibrated.argmax(axis=1)).any()


def test_an_offset_of_a_class_that_is_not_there_is_refused(contract: ModelContract) -> None:
    with pytest.raises(ValidationError, match="offsets for unknown classes: FLU"):
        ModelContract.model_validate({**contract.model_dump(), "offsets": {"FLU": 1.0}})


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


def of(output: Output, classes: str, **fields: Any) -> ModelContract:
    """A contract whose network ends so, of classes with names of one letter."""
    return ModelContract(
        classes=tuple(classes), input_size=(8, 8), resize="box", scale=1.0, output=output, **fields
    )


def sigmoid(logits: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


def test_one_sigmoid_is_the_probability_of_the_second_class() -> None:
    contract = of("sigmoid-one", "NP", temperature=2.0)
    found = contract.probabilities_of(np.array([[0.875], [0.25]], np.float32))
    assert found.dtype == np.float32
    assert found.tolist() == [[0.125, 0.875], [0.75, 0.25]]
    assert contract.network_outputs == (1,)
    logits = np.log(7.0), np.log(1 / 3)
    assert np.allclose(contract.calibrate(found)[:, 1], sigmoid(np.array(logits) / 2), atol=1e-9)
    assert np.abs(contract.calibrate(found).sum(axis=1) - 1).max() < 1e-12


def test_logits_become_their_softmax() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (20, 3)).astype(np.float32)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(of("logits", "ABC").probabilities_of(logits) - expected).max() < 1e-6
    assert of("logits", "ABC").network_outputs == (3,)


def test_one_logit_is_that_of_the_second_of_two_classes() -> None:
    contract = of("logits", "AB")
    found = contract.probabilities_of(np.array([[2.0], [-800.0], [800.0]], np.float32))
    assert np.allclose(found[:, 1], [sigmoid(2.0), 0, 1], atol=1e-7)
    assert contract.network_outputs == (2, 1)


def test_a_softmax_comes_back_as_it_is() -> None:
    given = np.array([[0.25, 0.5, 0.25]], np.float32)
    assert of("softmax", "ABC").probabilities_of(given) is given


def test_each_of_several_labels_is_calibrated_by_itself() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 4))
    contract = of("sigmoid", "ABCD", temperature=2.5)
    found = contract.calibrate(contract.probabilities_of(sigmoid(logits).astype(np.float32)))
    assert np.abs(found - sigmoid(logits / 2.5)).max() < 1e-6
    assert contract.multi_label
    moved = of("sigmoid", "ABCD", offsets={"B": 2.0}).calibrate(sigmoid(logits))
    assert np.abs(moved - sigmoid(logits + np.array([0, 2, 0, 0]))).max() < 1e-6
    untouched = of("sigmoid", "ABCD").calibrate(sigmoid(logits))
    assert np.abs(untouched - sigmoid(logits)).max() < 1e-12


@pytest.mark.parametrize("temperature", [0.05, 1.0, 100.0])
def test_a_label_that_is_certain_stays_a_probability(temperature: float) -> None:
    certain = np.array([[0.0, 1.0, 1e-30]], np.float32)
    found = of("sigmoid", "ABC", temperature=temperature).calibrate(certain)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= 1).all()


@pytest.mark.parametrize(
    ("output", "row", "members", "uncertain"),
    [
        pytest.param("softmax", [0.7, 0.2, 0.1], "A", False, id="one-class"),
        pytest.param("softmax", [0.4, 0.35, 0.25], "", True, id="no-class"),
        pytest.param("sigmoid", [0.7, 0.2, 0.1], "A", False, id="one-label"),
        pytest.param("sigmoid", [0.7, 0.9, 0.1], "AB", False, id="two-labels"),
        pytest.param("sigmoid", [0.4, 0.3, 0.1], "", True, id="no-label"),
    ],
)
def test_several_labels_are_sure_where_one_class_by_itself_would_not_be(
    output: Output, row: list[float], members: str, uncertain: bool
) -> None:
    contract = of(output, "ABC")
    sets = contract.prediction_sets(np.array([row]))
    assert "".join(np.array(contract.classes)[sets[0]]) == members
    assert contract.is_uncertain(np.array([row])).tolist() == [uncertain]
