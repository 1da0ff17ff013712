"""A checkpoint as a notebook of 2022 saved it, served by a process that has no Keras 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.xray.contract import ModelContract
from app.xray.preprocess import preprocess
from app.xray.probes import TOLERANCE
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.bounds import MOBILENET_PROBABILITIES
from tests.live import served
from tests.networks import write_notebook_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return [encode(draw_radiograph(seed), "JPEG") for seed in range(3)]


@pytest.fixture(scope="module")
def expected(files: list[bytes], path: Path) -> np.ndarray:
    """Its predictions in 2022; the checkpoint is left at `path`."""
    inputs = np.stack([preprocess(data, ModelContract.recipe_of_2022()) for data in files])
    network = write_notebook_checkpoint(path, inputs)
    found: np.ndarray = network.predict(inputs, batch_size=1, verbose=0)
    assert np.ptp(found, axis=0).max() > 0.01, "the network does not look at its input"
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook") / "best_model.h5"


@pytest.mark.parametrize(
    ("engine", "tolerance"), [("tensorflow", MOBILENET_PROBABILITIES), ("openvino", TOLERANCE)]
)
def test_its_own_predictions_come_over_http(
    engine: str, tolerance: float, files: list[bytes], expected: np.ndarray, path: Path
) -> None:
    with served(path, classes="SICK,WELL,OTHER", engine=engine) as client:
        for data, row in zip(files, expected, strict=True):
            found = client.post("/predict", content=data).json()["probabilities"]
            assert list(found) == ["SICK", "WELL", "OTHER"]
            assert list(found.values()) == pytest.approx(row.tolist(), abs=tolerance)
        model = client.get("/model").json()
        health = client.get("/health").json()
    assert model["engine"]["name"] == engine
    assert model["carries_contract"] is False
    assert model["calibrated"] is False
    assert health["model"]["calibrated"] is False
