"""`evaluate`: what a checkpoint is worth on one split, and what limits that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.xray.errors import DatasetError
from training.commands.flags import add_data
from training.data.folder import SPLITS, UNSEEN, find_files, splits_there

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

HELP: Final = "judge a checkpoint"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `evaluate`."""
    add_data(parser)
    parser.add_argument("--model", type=Path, default=Path("models/best_model.h5"), metavar="FILE")
    parser.add_argument("--split", choices=(*SPLITS, UNSEEN), default="test")
    parser.add_argument("--out", type=Path, metavar="DIR", help="a folder for report and figures")


def run(options: argparse.Namespace, console: Console) -> None:
    """Judge, print, and write a report where one is asked for.

    The folder need have no other split than the one that is judged.

    Raises:
        CheckpointError, DatasetError: as `Judge`; or the folder has no such split.
        TrainingError: as `Judge.report`.
    """
    # What the probe of sources learns from, and the hospitals that it never saw, too.
    asked_for = {"train", options.split, UNSEEN}
    splits = [split for split in splits_there(options.data) if split in asked_for]
    if options.data.is_dir() and options.split not in splits:
        raise DatasetError(
            f"{options.data / options.split}: no such folder; `python -m training split "
            f"{options.data} --out DIR` makes one of pictures that are laid out otherwise"
        )
    find_files(options.data, splits)

    from training.commands.judge import Judge
    from training.report.terminal import print_examination

    judge = Judge(options.model, options.data, splits, console)
    examination = judge.examine(options.split)
    print_examination(examination, console)
    if options.out:
        judge.report(options.split, examination, options.out)
        console.print(f"written to {options.out}", highlight=False)
