"""`search`: every recipe tried that was not yet, and all of them compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.xray.errors import TrainingError
from training.commands.flags import add_trial
from training.data.fingerprint import fingerprint_of
from training.data.folder import find_files
from training.data.leaving_out import KNOWN
from training.recipes.files import read_recipe, recipe_names
from training.recipes.trials import TRIALS, digest_of, key_of, read_trials, trials_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

HELP: Final = "try all recipes that were not yet; compare all"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `search`."""
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="without it only what was tried is told"
    )
    parser.add_argument("--again", action="store_true", help="those that were tried, too")
    parser.add_argument("recipes", nargs="*", metavar="NAME", help="only these (all)")
    add_trial(parser)


def run(options: argparse.Namespace, console: Console) -> None:
    """Try what was not tried on these data yet, recipe by recipe, and print all trials on them.

    Without data nothing is tried: the trials on all that there were are printed.

    Raises:
        DatasetError: as `find_files`.
        TrainingError: as `read_recipe`, `read_trials` and `run_apart`.
    """
    if options.data:
        find_files(options.data, KNOWN)
    names = options.recipes or recipe_names()
    recipes = {name: read_recipe(name) for name in names}
    if not options.data:
        _tell_all(names, console)
        return
    folder = trials_folder(fingerprint_of(options.data, KNOWN))
    for name, recipe in recipes.items():
        tried = read_trials(folder, name, digest_of(recipe.settings, options.weights))
        for held_out in ((), options.held_out) if options.held_out else ((),):
            if options.again or key_of(held_out) not in tried:
                console.rule(f"{name}{', without ' * bool(held_out)}{', '.join(held_out)}")
                run_apart(name, options.data, options.weights, held_out)
    _tell(folder, names, console)


def _tell_all(names: Sequence[str], console: Console) -> None:
    folders = sorted(path for path in TRIALS.glob("*") if path.is_dir())
    if not folders:
        console.print(f"nothing was tried yet: {TRIALS} holds no trial", highlight=False)
    for folder in folders:
        console.print(f"on the data of fingerprint {folder.name}", highlight=False)
        _tell(folder, names, console)


def _tell(folder: Path, names: Sequence[str], console: Console) -> None:
    from training.report.terminal import print_trials

    print_trials({Path(name).stem: read_trials(folder, name) for name in names}, console)


def run_apart(name: str, data: Path, weights: str, held_out: Sequence[str]) -> None:
    """One trial in a process of its own: what one leaves in Keras' memory is not the next one's.

    Raises:
        TrainingError: it failed; it has said why.
    """
    command = [sys.executable, "-m", "training", "trial", "--data", str(data)]
    command += ["--recipe", name, "--weights", weights, "--held-out", ",".join(held_out)]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise TrainingError(f"the trial of {name} failed")
