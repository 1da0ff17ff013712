"""A run's checkpoint -> models/, if it is better than the one there."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from app.xray.errors import TrainingError
from training.card import render_card
from training.export import replacing
from training.judge import judge
from training.metrics import accuracy

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from training.evaluate import Evaluation


def promote(run: Path, data: Path, into: Path, notes: Path | None, console: Console) -> bool:
    """Put `run`'s checkpoint and its card into the folder `into`; False where it is no better.

    The two are compared by accuracy on the val split of `data`, so that the test split has no
    part in the choice; the card then tells what the chosen one reaches on test.

    Raises:
        TrainingError: `run` or `notes` lacks what is needed.
        CheckpointError, DatasetError: as `judge`.
    """
    candidate, current = run / "best_model.h5", into / "best_model.h5"
    settings = _read_settings(run)
    text = _read_text(notes) if notes else ""
    reached = _accuracy(judge(candidate, data, "val", console)[1])
    if current.exists():
        to_beat = _accuracy(judge(current, data, "val", console)[1])
        console.print(f"accuracy on val: {reached:.4f}, of {current}: {to_beat:.4f}")
        if reached <= to_beat:
            console.print(f"{current} stays")
            return False
    checkpoint, evaluation = judge(candidate, data, "test", console)
    card = render_card(checkpoint, evaluation, settings, text)
    into.mkdir(parents=True, exist_ok=True)
    with replacing(into / "MODEL_CARD.md") as partial:
        partial.write_text(card)
    with replacing(current) as partial:
        shutil.copyfile(candidate, partial)
    console.print(f"promoted to {current}")
    return True


def _accuracy(evaluation: Evaluation) -> float:
    return accuracy(evaluation.labels, evaluation.probabilities)


def _read_settings(run: Path) -> dict[str, Any]:
    path = run / "config.json"
    try:
        settings: dict[str, Any] = json.loads(path.read_text())["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{path}: expected the config.json that fit writes: {error}") from error
    return settings


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror}") from error
