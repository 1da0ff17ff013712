from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from app.xray.errors import TrainingError
from training.report.folder import read_history, read_keep

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss\n"


def test_the_history_of_a_run_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(
        f"{HEAD}0,0.5,1e-4,1.5,0.4,1.25\n1,0.75,1e-4,1.0,0.5,1.0\n"
    )
    assert read_history(tmp_path) == {
        "loss": [1.5, 1.0],
        "accuracy": [0.5, 0.75],
        "val_loss": [1.25, 1.0],
        "val_accuracy": [0.4, 0.5],
    }


def test_where_there_is_none_or_no_epoch_in_it_there_are_no_curves(tmp_path: Path) -> None:
    assert read_history(tmp_path) is None
    (tmp_path / "history.csv").write_text(HEAD)
    assert read_history(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("epoch,loss\n0,1.5\n", id="other columns"),
        pytest.param(f"{HEAD}0,high,1e-4,low,0.4,1.25\n", id="words"),
        pytest.param(f"{HEAD}0,0.5\n", id="cut off"),
        pytest.param("\xff\xfe", id="no text"),
    ],
)
def test_what_fit_did_not_write_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(TrainingError, match=r"history\.csv: expected the history\.csv that fit"):
        read_history(tmp_path)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_which_epoch_was_kept_is_what_the_run_was_told(tmp_path: Path, keep: str) -> None:
    assert read_keep(tmp_path) == "best"
    document = {"settings": {"keep": keep}, "dataset": {}, "versions": {}}
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert read_keep(tmp_path) == keep
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"config\.json: expected the config\.json that fit"):
        read_keep(tmp_path)
