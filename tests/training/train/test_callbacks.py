from __future__ import annotations

import io
from typing import TYPE_CHECKING

import keras
from rich.console import Console

from app.xray.checkpoint import file_sha256
from tests.networks import build_tiny
from training.train.callbacks import EpochBars, Keep

if TYPE_CHECKING:
    from pathlib import Path

    from app.xray.contract import ModelContract


def test_only_an_epoch_better_than_all_before_is_kept(
    tmp_path: Path, contract: ModelContract
) -> None:
    path = tmp_path / "best_model.h5"
    network = build_tiny(keras)
    callback = Keep(path, contract, network)
    callback.set_model(network)
    kept = []
    for epoch, reached in enumerate([0.5, 0.4, 0.5, 0.6]):
        before = file_sha256(path) if path.exists() else None
        network.layers[-1].bias.assign([float(epoch)] * 3)
        callback.on_epoch_end(epoch, {"val_accuracy": reached})
        kept.append(file_sha256(path) != before)
    assert kept == [True, False, False, True]


def test_progress_names_the_epoch_the_figures_and_the_time_left() -> None:
    def show(*, is_terminal: bool) -> str:
        written = io.StringIO()
        console = Console(file=written, force_terminal=is_terminal, width=100)
        bars = EpochBars(console, steps=2)
        bars.set_params({"epochs": 3})
        bars.on_train_begin()
        for epoch in range(3):
            bars.on_epoch_begin(epoch)
            for batch in range(2):
                bars.on_train_batch_end(batch, {"loss": 1.25, "accuracy": 0.5})
            figures = {"loss": 1.0, "accuracy": 0.5, "val_loss": 0.9, "val_accuracy": 0.625}
            bars.on_epoch_end(epoch, figures)
        return written.getvalue()

    lines = show(is_terminal=False).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("epoch  2/3  loss 1.000  accuracy 0.500  val_loss 0.900")
    assert "val_accuracy 0.625" in lines[1]
    assert lines[1].endswith("s left")
    assert "2/2" in show(is_terminal=True)
