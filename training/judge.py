"""A checkpoint file and a data folder -> evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.xray.checkpoint import Checkpoint, read_checkpoint
from app.xray.errors import TrainingError
from app.xray.network import build_network
from training.calibrate import calibrate, caveats, likeliest_temperature
from training.dataset import SPLITS, Dataset, find_files, load_dataset
from training.evaluate import Evaluation, evaluate
from training.examine import Examination, examine
from training.export import rewrite_contract
from training.leaks import audit
from training.manifest import read_sources
from training.run_folder import fill_folder, read_history
from training.runner import Answers, Runner
from training.tables import report_caveats, report_skipped, track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from training.shortcuts import Alter


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
        """What that is worth; or what it makes of them once `alter` was at each."""
        judged = self.dataset.splits[split]
        pixels = judged.pixels
        if alter is not None:
            pixels = np.stack([np.rint(alter(picture)).astype(np.uint8) for picture in pixels])
        answers = self.runner.run(pixels)
        return evaluate(answers, judged, self.checkpoint.contract, self.sources)

    def examine(self, split: str) -> Examination:
        """And what limits it; needs the train split too."""
        train = self.dataset.splits["train"], self.answers("train")
        judged = self.dataset.splits[split], self.answers(split)
        return examine(self.runner, self.checkpoint.contract, train, judged, self.sources)

    def report(self, split: str, examination: Examination, folder: Path) -> None:
        """Write what `examine` found on a split into `folder`, which is made, as a page too.

        All splits are audited for it; the curves are those that lie beside the checkpoint.

        Raises:
            TrainingError: the folder cannot be made or written to.
        """
        history = read_history(self.checkpoint.path.parent)
        found = audit(self._data, track=track(self._console, "checking"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"{folder}: cannot be made: {error.strerror}") from error
        judged = self.dataset.splits[split]
        fill_folder(folder, self.checkpoint, self.network, judged, examination, found, history)


class Calibrated(NamedTuple):
    """What a checkpoint is worth on test, calibrated as it now is, and with other temperatures."""

    evaluation: Evaluation
    before: Evaluation
    """As it was."""
    likeliest: Evaluation
    """With the temperature that val alone finds likeliest."""


def calibrate_checkpoint(model: Path, data: Path, console: Console) -> Calibrated:
    """Fit temperature, operating points and gate on `data`; write them into the file at `model`.

    Its weights stay what they are. The figures on test are written into its contract too.

    Raises:
        CheckpointError, DatasetError: as `Judge`.
        TrainingError: the checkpoint says that it was trained on other data, or cannot be written.
    """
    judge = Judge(model, data, SPLITS, console)
    before = judge.checkpoint.contract
    if before.dataset and before.dataset.fingerprint != judge.dataset.summary.fingerprint:
        raise TrainingError(f"{data}: not the data that {model} was trained on, by its fingerprint")
    labels, val = judge.dataset.splits["val"].labels, judge.answers("val")
    report_caveats(caveats(before.classes, labels), console)
    contract = calibrate(before, labels, val, judge.answers("train"))
    temperature = likeliest_temperature(before, labels, val.raw)
    likeliest = contract.model_copy(update={"temperature": temperature})
    answers, test = judge.answers("test"), judge.dataset.splits["test"]
    found = Calibrated(
        *(evaluate(answers, test, each, judge.sources) for each in (contract, before, likeliest))
    )
    metrics = found.evaluation.metrics
    try:
        rewrite_contract(model, contract.model_copy(update={"metrics": metrics}))
    except OSError as error:
        raise TrainingError(f"{model}: cannot be written: {error}") from error
    return found
