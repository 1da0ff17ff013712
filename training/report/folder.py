"""The folder that a run, or a judgement, leaves behind."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import ValidationError

from app.xray.errors import TrainingError
from app.xray.preprocess import to_image
from training.evaluation.mistakes import surest_mistakes
from training.recipes.config import FitConfig
from training.report.page import write_report
from training.report.pictures.plots import plot_evaluation, plot_history

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from app.xray.checkpoint import Checkpoint
    from app.xray.contract import ModelContract
    from training.data.audit.audit import Audit
    from training.data.dataset import Dataset, Split
    from training.evaluation.examine import Examination
    from training.report.pictures.plots import History, Keep

_NOT_OF_THE_RESULT: Final = frozenset({"data", "out", "tensorboard"})
"""Settings that a run may go on with as they are now: the data are told by their fingerprint."""


def begin_folder(
    config: FitConfig,
    contract: ModelContract,
    dataset: Dataset,
    class_weights: dict[int, float] | None,
) -> None:
    """Make `config.out`, with `config.json`: settings, versions, data and what of it was skipped.

    `class_weights` are those of the loss, None where pictures are drawn by source instead.

    Raises:
        TrainingError: it cannot be made, or not be written to.
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
    try:
        (config.out / "config.json").write_text(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise TrainingError(f"{config.out}: cannot be written to: {error.strerror}") from error


def refuse_other_run(config: FitConfig, contract: ModelContract, console: Console) -> None:
    """Hold what a run that was stopped in `config.out` was told against what is asked for now.

    That it goes on with other versions is only said: it then is not the same to the last bit.

    Raises:
        TrainingError: there is no such run, or it is another: names what differs.
    """
    document = _read_config(config.out)
    now = config.model_dump(mode="json")
    # A setting that there was not when the run was begun was what it is by default.
    defaults = FitConfig(data=config.data, out=config.out).model_dump(mode="json")
    before = {**defaults, **document["settings"]}
    for name, value in now.items():
        if name not in _NOT_OF_THE_RESULT and before[name] != value:
            raise TrainingError(
                f"{config.out}: the run that was stopped has {name} {json.dumps(before[name])},"
                f" not {json.dumps(value)}; resume it with the flags that it was begun with"
            )
    if contract.dataset and document["dataset"]["fingerprint"] != contract.dataset.fingerprint:
        raise TrainingError(f"{config.data}: not the data that the run in {config.out} began with")
    if document["versions"] != contract.versions:
        console.print(
            "goes on with other versions than it was begun with: not the same to the last bit",
            style="yellow", highlight=False, soft_wrap=True,
        )  # fmt: skip


def read_keep(folder: Path) -> Keep:
    """Which epoch was kept, from a run's `config.json`; "best" where there is none.

    Raises:
        TrainingError: the file is not one of those.
    """
    if not (folder / "config.json").exists():
        return "best"
    return "last" if _read_config(folder)["settings"].get("keep") == "last" else "best"


def read_settings(folder: Path) -> FitConfig:
    """What a run was told, from the `config.json` in its folder.

    Raises:
        TrainingError: there is none, or it is not what `fit` writes.
    """
    try:
        return FitConfig.model_validate(_read_config(folder, ("settings",))["settings"])
    except ValidationError as error:
        path = folder / "config.json"
        raise TrainingError(f"{path}: expected the config.json that fit writes: {error}") from error


def _read_config(
    folder: Path, expected: tuple[str, ...] = ("settings", "dataset", "versions")
) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in expected:
            dict(document[name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: expected the config.json that fit writes: {error}") from error
    return document


def fill_folder(
    folder: Path,
    checkpoint: Checkpoint,
    network: Any,
    split: Split,
    examination: Examination,
    audit: Audit,
    history: History | None,
    keep: Keep = "best",
) -> None:
    """Write figures, plots and `report.html` into `folder`, which is there.

    `examination` is that of `network`, read from `checkpoint`, on `split`; `history` is its loss
    and accuracy over the epochs, where they are known, and `keep` which of these was kept.

    Raises:
        TrainingError: the folder cannot be written to.
    """
    try:
        examination.write(folder)
        audit.write(folder / "check.json")
        plot_evaluation(examination.evaluation, folder)
        if history:
            plot_history(history, folder, keep)
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
        keep=keep,
        mistakes=surest_mistakes(examination.evaluation, split, network),
        example=np.asarray(to_image(split.levels[0], contract).convert("RGB")),
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
