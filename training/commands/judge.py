"""A checkpoint file and a data folder -> evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.xray.checkpoint import Checkpoint, read_checkpoint
from app.xray.errors import TrainingError
from app.xray.network import build_network
from training.data.audit.audit import audit
from training.data.dataset import Dataset, load_dataset
from training.data.folder import UNSEEN, find_files, splits_there
from training.data.manifest import read_sources, sources_of
from training.evaluation.evaluate import Evaluation, evaluate
from training.evaluation.examine import Examination, examine, metrics_of
from training.network.runner import Answers, Runner
from training.report.folder import fill_folder, read_history, read_keep
from training.report.terminal import report_skipped, track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from app.xray.contract import Estimate
    from training.evaluation.shortcuts import Alter


class Judge:
    """The checkpoint at `model`, loaded once, and the splits of the folder `data` it is held to.

    A checkpoint that carries no contract is taken to know the folder's classes.

    Raises:
        CheckpointError: as `read_checkpoint` and `build_network`.
        DatasetError: as `load_dataset` and `read_sources`.
    """

    def __init__(self, model: Path, data: Path, splits: Sequence[str], console: Console) -> None:
        classes, _ = find_files(data, splits)
        self._data = data
        self._console = console
        self.checkpoint: Checkpoint = read_checkpoint(model, classes=classes)
        self.sources = read_sources(data)
        self.dataset: Dataset = load_dataset(
            data, self.checkpoint.contract, splits=splits, track=track(console, "decoding")
        )
        report_skipped(self.dataset, console)
        self.network = build_network(self.checkpoint)
        self.runner = Runner(self.network, self.checkpoint.contract, track(console, "running"))

    def answers(self, split: str) -> Answers:
        """What the checkpoint makes of the pictures of one of the splits."""
        return self.runner.run(self.dataset.splits[split].pixels)

    def evaluate(self, split: str, alter: Alter | None = None) -> Evaluation:
        """What the answers to a split are worth, each picture changed by `alter` where given."""
        judged = self.dataset.splits[split]
        pixels = judged.pixels
        if alter is not None:
            altered = (np.rint(alter(picture)) for picture in judged.levels)
            pixels = np.stack([picture.astype(np.uint8) for picture in altered])
        answers = self.runner.run(pixels)
        return evaluate(answers, judged, self.checkpoint.contract, self.sources)

    def examine(self, split: str) -> Examination:
        """What the checkpoint is worth on a split and what limits it.

        Where "train" is among the splits that were loaded, how well the source can be told, too.
        Where `UNSEEN` is among the splits that were loaded, what it is worth there as well.
        """
        train = None
        if "train" in self.dataset.splits:
            train = self.dataset.splits["train"], self.answers("train")
        judged = self.dataset.splits[split], self.answers(split)
        unseen = None
        if split != UNSEEN and UNSEEN in self.dataset.splits:
            unseen = self.dataset.splits[UNSEEN], self.answers(UNSEEN)
        return examine(self.runner, self.checkpoint.contract, train, judged, self.sources, unseen)

    def metrics(self, evaluation: Evaluation) -> dict[str, Estimate]:
        """What a contract carries of `evaluation`, and of hospitals that no other split knows.

        These are judged by the contract that `evaluation` was made by. "train" and "test" are among
        the splits that were loaded.
        """
        unseen = None
        if UNSEEN in self.dataset.splits:
            judged = self.dataset.splits[UNSEEN]
            unseen = evaluate(self.answers(UNSEEN), judged, evaluation.contract, self.sources)
        known = sources_of(self.dataset.splits["train"].files, self.sources)
        return metrics_of(evaluation, unseen, known)

    def report(self, split: str, examination: Examination, folder: Path) -> None:
        """Write what `examine` found on a split into `folder`, which is made, as a page too.

        All splits are audited for it; the curves are those that lie beside the checkpoint.

        Raises:
            TrainingError: the folder cannot be made or written to.
        """
        run = self.checkpoint.path.parent
        history, keep = read_history(run), read_keep(run)
        found = audit(
            self._data, splits=splits_there(self._data), track=track(self._console, "checking")
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"{folder}: cannot be made: {error.strerror}") from error
        judged = self.dataset.splits[split]
        fill_folder(
            folder, self.checkpoint, self.network, judged, examination, found, history, keep
        )
