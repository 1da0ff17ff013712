"""The main job, end to end: train on a folder, serve that very file, ask about its pictures."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

from app.xray.checkpoint import file_sha256
from app.xray.contract import ModelContract
from app.xray.preprocess import preprocess
from app.xray.probes import TOLERANCE
from benchmarks.rig.corpus.drawing import write_dataset
from tests.live import served
from tests.networks import enliven
from training.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def write_lively_weights(path: Path, data: Path) -> Path:
    """MobileNet's weights as a download would bring them: random, but not dead."""
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNet(
        input_shape=(224, 224, 3), include_top=False, pooling="max", weights=None
    )
    files = sorted(data.glob("train/*/*"))
    contract = ModelContract.recipe_of_2022()
    enliven(backbone, np.stack([preprocess(file.read_bytes(), contract) for file in files]))
    backbone.save_weights(path)
    return path


def test_train_then_serve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_dataset(tmp_path / "data", counts={"train": 3, "val": 1, "test": 2})
    weights = write_lively_weights(tmp_path / "backbone.weights.h5", data)
    run = tmp_path / "run"
    fit = ["fit", "--data", str(data), "--weights", str(weights), "--out", str(run)]
    assert main([*fit, "--epochs", "1", "--batch-size", "4"]) == 0
    assert "epoch  1/1" in capsys.readouterr().out

    rows = list(csv.DictReader((run / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 6
    expected = np.array(
        [[float(row[name]) for name in ("COVID", "NORMAL", "PNEUMONIA")] for row in rows]
    )
    assert np.ptp(expected, axis=0).max() > 0.01, "the network does not look at its input"
    assert (run / "report.html").exists()
    # Three pictures a class are too few for a gate that knows the next one.
    with served(run / "best_model.h5", ood="off", precision="f32") as client:
        for row in rows:
            answer = client.post("/predict", content=(data / row["file"]).read_bytes()).json()
            for name, probability in answer["probabilities"].items():
                assert probability == pytest.approx(float(row[name]), abs=TOLERANCE)
        model = client.get("/model").json()
    assert model["sha256"] == file_sha256(run / "best_model.h5")
    assert model["carries_contract"] is True
    assert set(model["operating_points"]) == {"COVID", "NORMAL", "PNEUMONIA"}
    assert model["ood"]["method"] == "outlines-logistic"
    assert "weights" not in model["ood"], "what a reader wants of it alone"
    assert model["dataset"]["counts"]["test"] == {"COVID": 2, "NORMAL": 2, "PNEUMONIA": 2}
    assert {"accuracy", "macro_f1", "macro_auroc", "ece", "brier"} <= set(model["metrics"])
