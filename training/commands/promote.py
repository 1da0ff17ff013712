"""`promote`: a run's checkpoint into models/, if it is better than the one there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from app.xray.checkpoint import file_sha256
from app.xray.errors import TrainingError
from app.xray.replacing import replacing
from training.commands.flags import add_data
from training.data.folder import UNSEEN, find_files, splits_in

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from training.commands.judge import Judge
    from training.evaluation.examine import Examination
    from training.report.document import Section

HELP: Final = "put a run's checkpoint into models/ if it is better on val"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `promote`."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="a folder that fit wrote")
    add_data(parser)
    parser.add_argument("--into", type=Path, default=Path("models"), metavar="DIR")
    parser.add_argument(
        "--beside", type=Path, metavar="RUN", help="another run, for the card to compare with"
    )
    parser.add_argument("--notes", type=Path, metavar="FILE", help="Markdown for the card")
    parser.add_argument(
        "--replace", action="store_true", help="without comparing it with the one in models/"
    )


def run(options: argparse.Namespace, console: Console) -> None:
    """Promote a run.

    Raises:
        CheckpointError, DatasetError, TrainingError: as `promote`.
    """
    promote(
        options.run_folder,
        options.data,
        options.into,
        options.notes,
        console,
        options.beside,
        replace=options.replace,
    )


def promote(
    run: Path,
    data: Path,
    into: Path,
    notes: Path | None,
    console: Console,
    beside: Path | None = None,
    *,
    replace: bool = False,
) -> bool:
    """Put `run`'s checkpoint and its card into the folder `into`; False where it is no better.

    The two are compared on the val split of `data`, so that the test split has no part in the
    choice, by the recall of each pair of source and class, averaged, of the pictures as they are,
    with a little grain, and a little less sharp, which alters nothing of what a patient has; then
    by their accuracy. The card tells what the chosen one reaches on test. Of two that are alike
    that is better which alone is calibrated or has a gate. With another run `beside` it, the card
    compares the two on test.

    `replace` skips that comparison, for a checkpoint in place that was trained on pictures which
    are now val or test; the card says so.

    Raises:
        TrainingError: `run`, `beside` or `notes` lacks what is needed, `data` is not what `run`
            was trained on, or `run` left sources out.
        CheckpointError, DatasetError: as `Judge`.
    """
    find_files(data, splits_in(data))

    from training.commands.judge import Judge
    from training.report.card import render_card
    from training.report.folder import read_settings

    card_path, current = into / "MODEL_CARD.md", into / "best_model.h5"
    if into.exists() and not into.is_dir():
        raise TrainingError(f"{into}: not a folder")
    for path in (card_path, current):
        if path.is_dir():
            raise TrainingError(f"{path}: a folder where a file is to be written")
    settings = read_settings(run)
    if settings.leave_out:
        raise TrainingError(
            f"{run}: was trained without {', '.join(settings.leave_out)}, to calibrate another by; "
            "it is not to be served"
        )
    text = _read_text(notes) if notes else ""
    candidate = Judge(run / "best_model.h5", data, splits_in(data), console)
    described = candidate.checkpoint.contract.dataset
    if described is None or described.fingerprint != candidate.dataset.summary.fingerprint:
        raise TrainingError(f"{data}: not the data that {run} was trained on, by its fingerprint")
    replaced = ""
    if current.exists() and replace:
        replaced = file_sha256(current)
    elif current.exists():
        reached, to_beat = (_merits(candidate), _merits(Judge(current, data, ["val"], console)))
        console.print(
            "recall on val, as it is, grainy and soft, mean over source and class: "
            f"{reached[0]:.4f}, of {current}: {to_beat[0]:.4f}"
        )
        if reached <= to_beat:
            console.print(f"{current} stays")
            return False
    examination = candidate.examine("test")
    comparison = _compare(examination, beside, data, console) if beside else None
    card = render_card(candidate.checkpoint, examination, settings, text, comparison, replaced)
    try:
        into.mkdir(parents=True, exist_ok=True)
        with replacing(card_path) as new_card, replacing(current) as new_checkpoint:
            new_card.write_text(card)
            shutil.copyfile(candidate.checkpoint.path, new_checkpoint)
    except OSError as error:
        raise TrainingError(f"{into}: cannot be written to: {error.strerror}") from error
    console.print(f"promoted to {current}")
    return True


def _compare(ours: Examination, run: Path, data: Path, console: Console) -> Section:
    from training.commands.judge import Judge
    from training.report.folder import read_settings
    from training.report.words.comparison import compare

    recipe = read_settings(run).recipe
    name = f"recipe {Path(recipe).stem}" if recipe else run.name
    splits = [split for split in splits_in(data) if split in {"train", "test", UNSEEN}]
    theirs = Judge(run / "best_model.h5", data, splits, console).examine("test")
    return compare(ours, theirs, name)


def _merits(judge: Judge) -> tuple[float, float, bool, bool]:
    """What one checkpoint must have more of than another, the first of them first."""
    from training.evaluation.metrics import accuracy
    from training.evaluation.shortcuts import add_grain, soften

    contract = judge.checkpoint.contract
    found = [judge.evaluate("val", alter) for alter in (None, add_grain, soften)]
    recalled = np.mean([each.mean_over_pairs.value for each in found])
    reached = np.mean([accuracy(each.labels, each.probabilities) for each in found])
    return float(recalled), float(reached), contract.is_calibrated, contract.ood is not None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: expected a text file in UTF-8: {error}") from error
