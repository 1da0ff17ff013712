"""The folder that a run, or a judgement, leaves behind."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from app.xray.errors import TrainingError
from training.evaluation.mistakes import surest_mistakes
from training.report.page import write_report
from training.report.pictures.plots import plot_evaluation, plot_history

if TYPE_CHECKING:
    from pathlib import Path

    from app.xray.checkpoint import Checkpoint
    from app.xray.contract import ModelContract
    from training.data.audit.audit import Audit
    from training.data.dataset import Dataset, Split
    from training.evaluation.examine import Examination
    from training.recipes.config import FitConfig
    from training.report.pictures.plots import History


def begin_folder(
    config: FitConfig,
    contract: ModelContract,
    dataset: Dataset,
    class_weights: dict[int, float] | None,
) -> None:
    """Make `config.out`, with `config.json`: settings, versions, data and what of it was skipped.

    `class_weights` are those of the loss, None where pictures are drawn by source instead.

    Raises:
        TrainingError: it cannot be made.
    """
    try:
        config.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{config.out}: cannot be made: {error.strerror}") from error
    document = {
        "settings": config.model_dump(mode="json"),
        "class_weights": class_weights,
        "versions": contract.versions,
        "dataset": dataset.summary.model_dump(),
        "skipped": dict(dataset.skipped),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (config.out / "config.json").write_text(json.dumps(document, indent=2) + "\n")


def fill_folder(
    folder: Path,
    checkpoint: Checkpoint,
    network: Any,
    split: Split,
    examination: Examination,
    audit: Audit,
    history: History | None,
) -> None:
    """Write figures, plots and `report.html` into `folder`, which is there.

    `examination` is that of `network`, read from `checkpoint`, on `split`; `history` is its loss
    and accuracy over the epochs, where they are known.

    Raises:
        TrainingError: the folder cannot be written to.
    """
    try:
        examination.write(folder)
        audit.write(folder / "check.json")
        plot_evaluation(examination.evaluation, folder)
        if history:
            plot_history(history, folder)
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written to: {error.strerror}") from error
    contract = checkpoint.contract
    write_report(
        folder / "report.html",
        title=checkpoint.name,
        facts={
            "checkpoint": f"SHA-256 {checkpoint.sha256}",
            "classes": ", ".join(contract.classes),
            "trained at": contract.trained_at or "unknown",
            "with": ", ".join(f"{name} {found}" for name, found in contract.versions.items()),
        },
        examination=examination,
        audit=audit,
        history=history,
        mistakes=surest_mistakes(examination.evaluation, split, network),
        example=split.pixels[0],
    )


def read_history(folder: Path) -> History | None:
    """What `fit` wrote into `history.csv` of a run's folder; None where it is not there.

    Raises:
        TrainingError: the file is not one of those.
    """
    path = folder / "history.csv"
    if not path.exists():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        history = {name: [float(row[name]) for row in rows] for name in names}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{path}: expected the history.csv that fit writes: {error}") from error
    return history if rows else None
