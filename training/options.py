"""The commands and flags of `python -m training`."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from training.data.dataset import SPLITS
from training.recipes.files import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    Run = Callable[[argparse.Namespace, Console], int | None]


def build_parser(runs: Mapping[str, Run]) -> argparse.ArgumentParser:
    """The parser whose result has in `run` what `runs` names for the command that was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="A folder of X-rays, DIR/train|val|test/CLASS/*, to models/best_model.h5.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="look for leaks between splits, and for bad files")
    check.set_defaults(run=runs["check"])
    _add_data(check)
    check.add_argument(
        "--manifest", type=Path, metavar="CSV", help="names patients (DIR/manifest.csv)"
    )
    check.add_argument(
        "--out", type=Path, metavar="FILE", help="(data-check.json)",
        default=Path("data-check.json"),
    )  # fmt: skip

    fit = commands.add_parser("fit", help="train a checkpoint and judge it on the test split")
    fit.set_defaults(run=runs["fit"])
    _add_data(fit)
    fit.add_argument("--weights", metavar="imagenet|none|FILE", help="to start from (imagenet)")
    fit.add_argument(
        "--recipe", default=DEFAULT, metavar="NAME|FILE", help=f"what the rest follows ({DEFAULT})"
    )
    fit.add_argument("--epochs", type=int, metavar="N", help="(15)")
    fit.add_argument("--batch-size", type=int, metavar="N", help="pictures a step (64)")
    fit.add_argument("--learning-rate", type=float, metavar="RATE", help="of Adam (1e-4)")
    fit.add_argument("--seed", type=int, metavar="N", help="of everything random (21)")
    fit.add_argument(
        "--strategy", metavar="auto|one|mirrored",
        help="devices: one; all of this machine (auto: all GPUs)",
    )  # fmt: skip
    fit.add_argument("--strict", action="store_true", help="end at an unreadable picture")
    fit.add_argument("--allow-leaks", action="store_true", help="train though check finds leaks")
    fit.add_argument(
        "--out", type=Path, metavar="DIR", help="the run's folder (runs/TIME)",
        default=Path("runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S"),
    )  # fmt: skip

    evaluate = commands.add_parser("evaluate", help="judge a checkpoint")
    evaluate.set_defaults(run=runs["evaluate"])
    _add_data(evaluate)
    _add_model(evaluate)
    evaluate.add_argument("--split", choices=SPLITS, default="test")

    evaluate.add_argument("--out", type=Path, metavar="DIR", help="a folder for report and figures")

    calibrate = commands.add_parser(
        "calibrate", help="fit temperature, operating points and gate of a checkpoint anew"
    )
    calibrate.set_defaults(run=runs["calibrate"])
    _add_data(calibrate)
    calibrate.add_argument("--model", type=Path, required=True, metavar="FILE")

    promote = commands.add_parser(
        "promote", help="put a run's checkpoint into models/ if it is better on val"
    )
    promote.set_defaults(run=runs["promote"])
    promote.add_argument("run_folder", type=Path, metavar="RUN", help="a folder that fit wrote")
    _add_data(promote)
    promote.add_argument("--into", type=Path, default=Path("models"), metavar="DIR")
    promote.add_argument(
        "--beside", type=Path, metavar="RUN", help="another run, for the card to compare with"
    )
    promote.add_argument("--notes", type=Path, metavar="FILE", help="Markdown for the card")

    trial = commands.add_parser("trial", help="try one recipe, and note what it reached on val")
    trial.set_defaults(run=runs["trial"])
    _add_data(trial)
    trial.add_argument("--recipe", required=True, metavar="NAME|FILE")
    _add_trial(trial)

    search = commands.add_parser("search", help="try all recipes that were not yet; compare all")
    search.set_defaults(run=runs["search"])
    search.add_argument(
        "--data", type=Path, metavar="DIR", help="without it only the table is told"
    )
    search.add_argument("--again", action="store_true", help="those that were tried, too")
    search.add_argument("recipes", nargs="*", metavar="NAME", help="only these (all)")
    _add_trial(search)
    return parser


def _add_trial(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--weights", default="imagenet", metavar="imagenet|none|FILE", help="(imagenet)"
    )
    command.add_argument(
        "--held-out",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=(),
        metavar="SOURCE,SOURCE",
        help="train without these, and judge on them",
    )


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the folder of X-rays"
    )


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=Path, default=Path("models/best_model.h5"), metavar="FILE")
