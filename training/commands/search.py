"""`search`: every recipe tried that was not yet, and all of them compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.xray.errors import TrainingError
from training.commands.flags import add_trial
from training.recipes.files import read_recipe, recipe_names

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

HELP: Final = "try all recipes that were not yet; compare all"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `search`."""
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="without it only the table is told"
    )
    parser.add_argument("--again", action="store_true", help="those that were tried, too")
    parser.add_argument("recipes", nargs="*", metavar="NAME", help="only these (all)")
    add_trial(parser)


def run(options: argparse.Namespace, console: Console) -> None:
    """Try what was not tried yet, recipe by recipe, and print the tables of all trials.

    Raises:
        TrainingError: as `read_recipe` and `run_apart`.
    """
    from training.report.terminal import print_trials

    names = options.recipes or recipe_names()
    for name in names:
        trials = read_recipe(name).trials
        for held_out in ((), options.held_out) if options.held_out else ((),):
            if options.data and (options.again or (",".join(held_out) or "val") not in trials):
                console.rule(f"{name}{', without ' * bool(held_out)}{', '.join(held_out)}")
                run_apart(name, options.data, options.weights, held_out)
    print_trials({Path(name).stem: read_recipe(name) for name in names}, console)


def run_apart(name: str, data: Path, weights: str, held_out: Sequence[str]) -> None:
    """One trial in a process of its own: what one leaves in Keras' memory is not the next one's.

    Raises:
        TrainingError: it failed; it has said why.
    """
    command = [sys.executable, "-m", "training", "trial", "--data", str(data)]
    command += ["--recipe", name, "--weights", weights, "--held-out", ",".join(held_out)]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise TrainingError(f"the trial of {name} failed")
