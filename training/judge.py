"""A checkpoint file and a data folder -> evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.xray.checkpoint import Checkpoint, read_checkpoint
from app.xray.network import build_network
from training.dataset import Dataset, find_files, load_dataset
from training.evaluate import Evaluation, evaluate, read_sources
from training.tables import report_skipped, track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console


class Judge:
    """The checkpoint at `model`, loaded once, and the splits of the folder `data` it is held to.

    A checkpoint that carries no contract is taken to know the folder's classes.

    Raises:
        CheckpointError: as `read_checkpoint` and `build_network`.
        DatasetError: as `load_dataset` and `read_sources`.
    """

    def __init__(self, model: Path, data: Path, splits: Sequence[str], console: Console) -> None:
        classes, _ = find_files(data, splits)
        self.checkpoint: Checkpoint = read_checkpoint(model, classes=classes)
        self._sources = read_sources(data)
        self.dataset: Dataset = load_dataset(
            data, self.checkpoint.contract, splits=splits, track=track(console, "decoding")
        )
        report_skipped(self.dataset, console)
        self._network = build_network(self.checkpoint)

    def evaluate(self, split: str) -> Evaluation:
        """What the checkpoint makes of one of the splits."""
        return evaluate(
            self._network, self.dataset.splits[split], self.checkpoint.contract, self._sources
        )
