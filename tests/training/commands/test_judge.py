from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from PIL import Image, ImageDraw
from rich.console import Console

from app.xray.checkpoint import read_checkpoint
from app.xray.contract import DatasetSummary, ModelContract
from app.xray.errors import CheckpointRefused, DatasetError, TrainingError
from app.xray.network import build_network
from benchmarks.rig.corpus.drawing import write_dataset
from tests.networks import model_inputs, write_taught_checkpoint
from training.commands.calibrate import calibrate_checkpoint
from training.evaluation.gate.anew import fit_gate_anew

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


def test_the_gate_alone_is_fitted_anew_and_all_else_stays(data: Path, tmp_path: Path) -> None:
    model = write_taught_checkpoint(tmp_path / "model.h5", data)
    calibrate_checkpoint(model, data, quiet())
    before = read_checkpoint(model).contract
    strangers = tmp_path / "strangers"
    (strangers / "crosses").mkdir(parents=True)
    for number in range(4):
        crossed(number).save(strangers / f"crosses/{number}.png")
    gate = fit_gate_anew(model, data, tmp_path / "gated.h5", strangers)
    after = read_checkpoint(tmp_path / "gated.h5").contract
    assert after == before.model_copy(update={"ood": gate})
    assert gate.refused_strangers["crosses"].pictures == 4
    assert read_checkpoint(model).contract == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda _: None, "no such folder of strangers", id="no folder"),
        pytest.param(lambda folder: folder.mkdir(), "no picture that can be read", id="empty"),
        pytest.param(
            lambda folder: (folder.mkdir(), (folder / "manifest.csv").write_text("name\na.png\n")),
            "no column 'file'",
            id="a manifest without its columns",
        ),
    ],
)
def test_a_folder_of_strangers_that_is_none_is_refused_before_anything_is_fitted(
    data: Path, tmp_path: Path, make: Any, message: str
) -> None:
    model = write_taught_checkpoint(tmp_path / "model.h5", data)
    make(tmp_path / "strangers")
    with pytest.raises(DatasetError, match=message):
        fit_gate_anew(model, data, model, tmp_path / "strangers")


def crossed(number: int) -> Image.Image:
    image = Image.new("L", (60, 60), 40 * number)
    ImageDraw.Draw(image).line((0, 0, 60, 60 - 5 * number), fill=255, width=4)
    return image


def test_a_checkpoint_that_says_nothing_of_its_input_is_not_calibrated(
    data: Path, tmp_path: Path
) -> None:
    model = write_taught_checkpoint(tmp_path / "model.h5", data)
    with h5py.File(model, "r+") as file:
        del file.attrs["cxr_contract"]
    before = model.read_bytes()
    with pytest.raises(CheckpointRefused, match=r"python -m app\.adopt finds it out"):
        calibrate_checkpoint(model, data, quiet())
    assert model.read_bytes() == before


def test_other_data_than_it_was_trained_on_is_refused_and_nothing_is_written(
    data: Path, tmp_path: Path
) -> None:
    summary = DatasetSummary(fingerprint="0" * 64, counts={})
    contract = ModelContract.recipe_of_2022().model_copy(update={"dataset": summary})
    model = write_taught_checkpoint(tmp_path / "model.h5", data, contract)
    with pytest.raises(TrainingError, match="not the data that"):
        calibrate_checkpoint(model, data, quiet())
    assert read_checkpoint(model).contract == contract
