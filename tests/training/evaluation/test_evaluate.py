from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

from app.xray.contract import ModelContract
from benchmarks.rig.corpus.drawing import write_dataset
from tests.bounds import TINY_PROBABILITIES
from tests.networks import build_tiny
from training.data.dataset import load_dataset
from training.evaluation.evaluate import Evaluation, evaluate
from training.network.runner import Runner

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def evaluation() -> Evaluation:
    """Six pictures from two sources: all of `here` right, one of three from `there`."""
    labels = np.array([0, 1, 2, 0, 1, 2])
    predicted = np.array([0, 1, 2, 0, 2, 0])
    return Evaluation(
        contract=ModelContract.recipe_of_2022(),
        files=tuple(f"test/{index}.png" for index in range(6)),
        labels=labels,
        raw=np.eye(3)[predicted] * 0.7 + 0.1,
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
    there = evaluation.by_source_and_class["there"]["NORMAL"]
    assert (there.pictures, there.recall.value) == (1, 0.0)


def test_without_sources_there_are_no_figures_by_source(evaluation: Evaluation) -> None:
    nameless = replace(evaluation, sources=())
    assert list(nameless.by_source_and_class) == ["all"]
    assert nameless.by_source == {}


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
    keras.utils.set_random_seed(7)
    network = build_tiny(keras)
    calibrated = contract.model_copy(update={"temperature": 2.0})
    answers = Runner(network, calibrated).run(split.pixels)
    found = evaluate(answers, split, calibrated, {split.files[0]: "here"})
    raw = network.predict(split.pixels.astype(np.float32) / 255, verbose=0)
    assert np.abs(found.probabilities - calibrated.calibrate(raw)).max() < TINY_PROBABILITIES
    assert found.files == split.files
    assert found.sources == ("here", *["unknown"] * 5)


def test_a_source_has_its_own_accuracy_auroc_and_confusion(evaluation: Evaluation) -> None:
    here, there = (evaluation.by_source[name] for name in ("here", "there"))
    assert (here.pictures, here.accuracy.value) == (3, 1.0)
    assert here.macro_auroc is not None
    assert here.macro_auroc.value == 1.0
    assert here.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert there.confusion.tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert (here.confusion + there.confusion == evaluation.confusion).all()


def test_a_source_of_one_class_has_no_auroc(evaluation: Evaluation) -> None:
    apart = replace(evaluation, sources=("a", "b", "c", "a", "b", "c"))
    assert [figures.macro_auroc for figures in apart.by_source.values()] == [None] * 3


def test_calibration_is_shown_before_and_after(evaluation: Evaluation) -> None:
    hot = replace(evaluation, contract=evaluation.contract.model_copy(update={"temperature": 3.0}))
    before, after = hot.calibration["before"], hot.calibration["after"]
    assert hot.metrics["ece"] == hot.headline["ece"] == after.ece
    assert hot.metrics["uncalibrated_ece"] == before.ece
    assert (hot.metrics["uncalibrated_brier"], hot.metrics["brier"]) == (before.brier, after.brier)
    assert before.ece.value == pytest.approx(abs(4 / 6 - 0.8))
    # With this temperature the surest class has the share of the right ones, very nearly.
    assert after.ece.value != before.ece.value
    assert after.brier.value == pytest.approx(
        np.mean(((hot.probabilities - np.eye(3)[hot.labels]) ** 2).sum(axis=1))
    )


def test_operating_points_are_judged_on_these_pictures(evaluation: Evaluation) -> None:
    points = {"COVID": 0.5, "NORMAL": 0.9, "PNEUMONIA": 0.5}
    strict = evaluation.contract.model_copy(update={"operating_points": points})
    judged = replace(evaluation, contract=strict)
    covid = judged.at_operating_points["COVID"]
    assert covid.threshold == 0.5
    assert covid.sensitivity.value == 1.0
    assert covid.false_positive_rate.value == pytest.approx(1 / 4)
    assert judged.at_operating_points["NORMAL"].sensitivity.value == 0.0
    sets = judged.contract.prediction_sets(judged.probabilities)
    alone = (sets.sum(axis=1) == 1) & sets[np.arange(6), judged.probabilities.argmax(axis=1)]
    assert judged.uncertain.tolist() == (~alone).tolist()
    assert judged.uncertain[1], "no class reaches its point"
    assert judged.wrong.tolist() == [False, False, False, False, True, True]


def test_without_operating_points_only_certainty_is_judged_by_one_half(
    evaluation: Evaluation,
) -> None:
    assert evaluation.at_operating_points == {}
    largest = evaluation.probabilities.max(axis=1)
    assert evaluation.uncertain.tolist() == (largest < 0.5).tolist()
