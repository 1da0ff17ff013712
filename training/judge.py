"""A checkpoint file and a data folder -> its evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.xray.checkpoint import Checkpoint, read_checkpoint
from app.xray.network import build_network
from training.dataset import load_dataset
from training.evaluate import Evaluation, evaluate, read_sources
from training.tables import report_skipped, track

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


def judge(model: Path, data: Path, split: str, console: Console) -> tuple[Checkpoint, Evaluation]:
    """Evaluate the checkpoint at `model` on one split of the folder `data`.

    Raises:
        CheckpointError: as `read_checkpoint` and `build_network`.
        DatasetError: as `load_dataset`.
    """
    checkpoint = read_checkpoint(model)
    dataset = load_dataset(
        data, checkpoint.contract, splits=[split], track=track(console, "decoding")
    )
    report_skipped(dataset, console)
    network = build_network(checkpoint)
    return checkpoint, evaluate(
        network, dataset.splits[split], checkpoint.contract, read_sources(data)
    )
