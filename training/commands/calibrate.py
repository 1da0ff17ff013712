"""`calibrate`: a checkpoint's temperature, operating points and gate, fitted anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from app.xray.errors import TrainingError
from training.commands.judge import Judge
from training.data.dataset import SPLITS
from training.evaluation.calibrate import calibrate, caveats, likeliest_temperature
from training.evaluation.evaluate import Evaluation, evaluate
from training.network.export import rewrite_contract
from training.report.terminal import report_caveats

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


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
