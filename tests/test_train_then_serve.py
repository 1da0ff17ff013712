"""The main job, end to end: train on a folder, serve that very file, ask about its pictures."""

from __future__ import annotations

import csv
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from app.xray.checkpoint import file_sha256
from tests.drawing import write_dataset
from tests.live import ROOT, served

if TYPE_CHECKING:
    from pathlib import Path


def test_train_then_serve(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", counts={"train": 3, "val": 1, "test": 2})
    run = tmp_path / "run"
    trained = subprocess.run(
        [
            sys.executable, "-m", "training", "fit", "--data", str(data), "--weights", "none",
            "--epochs", "1", "--batch-size", "4", "--out", str(run),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert "epoch  1/1" in trained.stdout

    rows = list(csv.DictReader((run / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 6
    with served(run / "best_model.h5") as client:
        for row in rows:
            answer = client.post("/predict", content=(data / row["file"]).read_bytes()).json()
            for name, probability in answer["probabilities"].items():
                assert probability == pytest.approx(float(row[name]), abs=1e-5)
        model = client.get("/model").json()
    assert model["sha256"] == file_sha256(run / "best_model.h5")
    assert model["carries_contract"] is True
    assert model["dataset"]["counts"]["test"] == {"COVID": 2, "NORMAL": 2, "PNEUMONIA": 2}
    assert set(model["metrics"]) == {"accuracy", "macro_f1", "macro_auroc", "ece"}
