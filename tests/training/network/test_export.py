from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import keras
import numpy as np
import pytest

from app.xray.checkpoint import read_checkpoint, write_contract
from app.xray.network import build_network
from app.xray.replacing import replacing
from tests.networks import build_tiny, model_inputs
from training.network.export import export_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from app.xray.contract import ModelContract


def test_a_checkpoint_holds_network_and_contract_and_no_optimizer(
    tmp_path: Path, contract: ModelContract
) -> None:
    network = build_tiny(keras)
    network.compile("adam", "categorical_crossentropy")
    network.fit(model_inputs(), np.eye(3)[[0, 1, 2, 0]], verbose=0)
    export_checkpoint(network, contract, tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5") as file:
        assert list(file) == ["model_weights"]
    checkpoint = read_checkpoint(tmp_path / "model.h5")
    assert checkpoint.contract == contract
    expected = network.predict(model_inputs(), verbose=0)
    assert np.array_equal(build_network(checkpoint).predict(model_inputs(), verbose=0), expected)


def test_a_file_that_is_replaced_is_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path) as partial:
        partial.rename(tmp_path / "lost").unlink()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_export_is_readable_by_the_user_who_serves_it(
    tmp_path: Path, contract: ModelContract
) -> None:
    export_checkpoint(build_tiny(keras), contract, tmp_path / "model.h5")
    assert (tmp_path / "model.h5").stat().st_mode & 0o777 == 0o644


def test_a_contract_is_put_in_the_place_of_another_however_often(
    tmp_path: Path, contract: ModelContract
) -> None:
    path, network = tmp_path / "model.h5", build_tiny(keras)
    export_checkpoint(network, contract, path)
    other = contract.model_copy(update={"versions": {"long": "x" * 300_000}})
    write_contract(path, other, path)
    size = path.stat().st_size
    write_contract(path, other, path)
    assert path.stat().st_size == size
    checkpoint = read_checkpoint(path)
    assert checkpoint.contract == other
    expected = network.predict(model_inputs(), verbose=0)
    assert np.array_equal(build_network(checkpoint).predict(model_inputs(), verbose=0), expected)
