from __future__ import annotations

import io
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from rich.console import Console

from app.xray.checkpoint import read_checkpoint
from app.xray.contract import DatasetSummary, ModelContract
from app.xray.errors import TrainingError
from app.xray.network import build_network
from benchmarks.rig.corpus.drawing import write_dataset
from tests.networks import model_inputs, write_taught_checkpoint
from training.commands.calibrate import calibrate_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data")


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_calibrating_a_checkpoint_writes_its_contract_and_leaves_its_weights(
    data: Path, tmp_path: Path
) -> None:
    model = write_taught_checkpoint(tmp_path / "model.h5", data)
    before = read_checkpoint(model)
    expected = build_network(before).predict(model_inputs(), verbose=0)
    found = calibrate_checkpoint(model, data, quiet())
    evaluation = found.evaluation
    assert found.before.contract == before.contract
    after = read_checkpoint(model)
    assert after.contract.ood is not None
    assert after.contract.operating_points == evaluation.contract.operating_points
    assert after.contract.metrics == evaluation.metrics
    assert np.array_equal(build_network(after).predict(model_inputs(), verbose=0), expected)


def test_calibrating_twice_gives_the_same_and_the_file_does_not_grow(
    data: Path, tmp_path: Path
) -> None:
    model = write_taught_checkpoint(tmp_path / "model.h5", data)
    calibrate_checkpoint(model, data, quiet())
    first, size = read_checkpoint(model).contract, model.stat().st_size
    calibrate_checkpoint(model, data, quiet())
    assert read_checkpoint(model).contract == first
    assert model.stat().st_size <= size


def test_a_checkpoint_without_a_contract_is_given_one(data: Path, tmp_path: Path) -> None:
    model = write_taught_checkpoint(tmp_path / "model.h5", data)
    with h5py.File(model, "r+") as file:
        del file.attrs["cxr_contract"]
    calibrate_checkpoint(model, data, quiet())
    checkpoint = read_checkpoint(model)
    assert checkpoint.carries_contract
    assert checkpoint.contract.ood is not None


def test_other_data_than_it_was_trained_on_is_refused_and_nothing_is_written(
    data: Path, tmp_path: Path
) -> None:
    summary = DatasetSummary(fingerprint="0" * 64, counts={})
    contract = ModelContract.recipe_of_2022().model_copy(update={"dataset": summary})
    model = write_taught_checkpoint(tmp_path / "model.h5", data, contract)
    with pytest.raises(TrainingError, match="not the data that"):
        calibrate_checkpoint(model, data, quiet())
    assert read_checkpoint(model).contract == contract
