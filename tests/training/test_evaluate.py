from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

from app.xray.errors import DatasetError, TrainingError
from tests.drawing import write_dataset
from tests.networks import build_tiny
from training.dataset import load_dataset
from training.evaluate import Evaluation, evaluate, read_sources

if TYPE_CHECKING:
    from pathlib import Path

    from app.xray.contract import ModelContract


@pytest.fixture
def evaluation() -> Evaluation:
    """Six pictures from two sources: all of `here` right, one of three from `there`."""
    labels = np.array([0, 1, 2, 0, 1, 2])
    predicted = np.array([0, 1, 2, 0, 2, 0])
    return Evaluation(
        classes=("COVID", "NORMAL", "PNEUMONIA"),
        files=tuple(f"test/{index}.png" for index in range(6)),
        labels=labels,
        probabilities=np.eye(3)[predicted] * 0.7 + 0.1,
        sources=("here", "here", "here", "there", "there", "there"),
    )


def test_figures_come_by_class_by_source_and_by_both(evaluation: Evaluation) -> None:
    def values(groups: dict) -> dict[str, tuple[int, float]]:
        return {name: (count, figure.value) for name, (count, figure) in groups.items()}

    assert evaluation.headline["accuracy"].value == pytest.approx(4 / 6)
    assert [evaluation.count(name) for name in evaluation.classes] == [2, 2, 2]
    figures = {
        name: {figure: found.value for figure, found in by.items()}
        for name, by in evaluation.by_class.items()
    }
    assert figures["COVID"] == pytest.approx({"precision": 2 / 3, "recall": 1, "F1": 0.8})
    assert figures["NORMAL"] == pytest.approx({"precision": 1, "recall": 0.5, "F1": 2 / 3})
    report = evaluation.report(as_dict=True)
    for name, found in figures.items():
        assert found["F1"] == pytest.approx(report[name]["f1-score"])
        assert found["precision"] == pytest.approx(report[name]["precision"])
    assert values(evaluation.accuracy_by_source) == {
        "here": (3, 1.0),
        "there": (3, pytest.approx(1 / 3)),
    }
    assert values(evaluation.recall_by_source_and_class)["there / NORMAL"] == (1, 0.0)


def test_without_sources_there_are_no_figures_by_source(evaluation: Evaluation) -> None:
    nameless = Evaluation(
        evaluation.classes, evaluation.files, evaluation.labels, evaluation.probabilities
    )
    assert nameless.accuracy_by_source == {}
    assert nameless.recall_by_source_and_class == {}


def test_reports_and_predictions_are_written(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.write(tmp_path)
    report = json.loads((tmp_path / "classification_report.json").read_text())
    assert report["COVID"]["support"] == 2
    assert report["COVID"]["recall"] == 1
    assert report["accuracy"] == pytest.approx(4 / 6)
    assert "PNEUMONIA" in (tmp_path / "classification_report.txt").read_text()
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == list(evaluation.files)
    assert [row["truth"] for row in rows][:3] == ["COVID", "NORMAL", "PNEUMONIA"]
    assert float(rows[0]["COVID"]) == pytest.approx(0.8)


def test_predictions_line_up_with_files_and_are_calibrated(
    tmp_path: Path, contract: ModelContract
) -> None:
    data = write_dataset(tmp_path / "data")
    split = load_dataset(data, contract, splits=["test"]).splits["test"]
    network = build_tiny(keras)
    calibrated = contract.model_copy(update={"temperature": 2.0})
    found = evaluate(network, split, calibrated, {split.files[0]: "here"})
    raw = network.predict(split.pixels.astype(np.float32) / 255, verbose=0)
    assert np.abs(found.probabilities - calibrated.calibrate(raw)).max() < 1e-5
    assert found.files == split.files
    assert found.sources == ("here", *["unknown"] * 5)


def test_sources_are_read_from_the_manifest(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == {}
    (tmp_path / "manifest.csv").write_text("file,label,source\ntest/A/x.jpg,A,nih\n")
    assert read_sources(tmp_path) == {"test/A/x.jpg": "nih"}


def test_a_manifest_out_of_a_spreadsheet_is_read_and_gaps_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("\ufefffile,source\na.png,nih\nb.png\nc.png,\n")
    assert read_sources(tmp_path) == {"a.png": "nih", "b.png": "unknown", "c.png": "unknown"}


def test_a_manifest_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes("file,source\na.png,Zürich\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"manifest\.csv: expected CSV in UTF-8"):
        read_sources(tmp_path)


def test_a_network_that_diverged_is_told_of(tmp_path: Path, contract: ModelContract) -> None:
    split = load_dataset(write_dataset(tmp_path / "data"), contract, splits=["test"]).splits["test"]
    network = build_tiny(keras)
    network.layers[-1].bias.assign([np.nan] * 3)
    with pytest.raises(TrainingError, match="diverged"):
        evaluate(network, split, contract, {})


def test_a_manifest_without_the_two_columns_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("name,hospital\n")
    with pytest.raises(DatasetError, match=r"manifest\.csv: expected the columns file and source"):
        read_sources(tmp_path)
